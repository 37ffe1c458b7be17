"""The statement that raised, as its source reads: one line, wherever it stands in its file."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from mmrace.runtime.statement import source_at


def raised_at(file: Path, body: str) -> str:
    """Run a function with such a body; return the source of the statement that raised."""
    file.write_text(f"def main(n=1):\n{textwrap.indent(body, '    ')}\n", encoding="utf-8")
    names: dict[str, object] = {}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
    try:
        names["main"]()  # type: ignore[operator]
    except Exception as error:
        trace = error.__traceback__
        assert trace is not None
        while trace.tb_next is not None:
            trace = trace.tb_next
        return source_at(trace.tb_frame, trace.tb_lasti, trace.tb_lineno)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("body", "source"),
    [
        ("assert n == 2  # why", "assert n == 2"),
        ("assert (\n    n\n    == 2\n)", "assert ( n == 2 )"),
        ("if n: raise ValueError(f'{n}')", "raise ValueError(f'{n}')"),
        ("if n.gone:\n    pass", "n.gone"),
        ("while n: n = n.gone", "n = n.gone"),
        ("for item in (\n    n,\n    n.gone,\n):\n    pass", "( n, n.gone, )"),
        ("with open(n.gone) as file:\n    pass", "open(n.gone)"),
        ("return [1 // k for k in (1, 0)]", "return [1 // k for k in (1, 0)]"),
        ("é = 'é'; assert é == n, é", "assert é == n, é"),
        ("try:\n    n.gone\nfinally:\n    n = 2", "n.gone"),
        ("match n.gone:\n    case 1:\n        pass", "n.gone"),
    ],
)
def test_the_statement_is_told_by_its_source(tmp_path: Path, body: str, source: str) -> None:
    first = raised_at(tmp_path / "one.py", body)
    later = raised_at(tmp_path / "two.py", f"k = 3\nassert k == 3\n{body}\nassert False")
    assert (first, later) == (source, source)


def test_of_a_file_that_is_gone_nothing_is_told(tmp_path: Path) -> None:
    names: dict[str, object] = {}
    exec(compile("def main():\n    raise ValueError(1)\n", str(tmp_path / "gone.py"), "exec"), names)
    with pytest.raises(ValueError, match="1") as caught:
        names["main"]()  # type: ignore[operator]
    trace = caught.value.__traceback__
    assert trace is not None and trace.tb_next is not None
    assert source_at(trace.tb_next.tb_frame, trace.tb_next.tb_lasti, 2) == ""
