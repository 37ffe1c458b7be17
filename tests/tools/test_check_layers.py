"""The layer check catches each kind of breach on a small tree, and passes on the tree without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_general_half import GENERAL
from tools.check_layers import LAYERS, check, layer_of

TOOL = Path(__file__).resolve().parents[2] / "tools" / "check_layers.py"

Tree = Callable[[dict[str, str]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write files given by their path below the package."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / "mmrace" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


GOOD = {
    "runtime/locks.py": "import threading\n",
    "kernel/mm/page.py": (
        "from enum import IntEnum\n\nclass PageFlags(IntEnum):\n    PG_locked = 0\n\ndef get_page(): ...\n"
    ),
    "kernel/mm/migrate.py": "from mmrace.kernel.mm import page\nfrom mmrace.kernel.mm.page import PageFlags\n",
    "search/campaign.py": "from loguru import logger\nfrom mmrace.runtime import locks\n",
    "cli.py": "import click\nfrom mmrace.search import campaign\n",
}


def test_clean_tree_passes(tree: Tree) -> None:
    assert check(tree(GOOD)) == []


@pytest.mark.parametrize(
    ("name", "text", "needle"),
    [
        ("runtime/task.py", "x = 1\nimport mmrace.kernel.mm\n", "task.py:2: runtime imports mmrace.kernel.mm"),
        ("oracles/protocol/x.py", "import mmrace.actors.writer\n", "oracles/protocol imports mmrace.actors.writer"),
        (
            "oracles/general/x.py",
            "import mmrace.oracles.protocol.slot\n",
            "general imports mmrace.oracles.protocol.slot",
        ),
        ("oracles/__init__.py", "import mmrace.oracles.protocol.slot\n", "oracles imports mmrace.oracles.protocol"),
        ("runs/x.py", "import mmrace.oracles.protocol\n", "runs imports mmrace.oracles.protocol"),
        (
            "search/pool/x.py",
            "import mmrace.search.explore.driver\n",
            "search/pool imports mmrace.search.explore.driver",
        ),
        ("search/explore/x.py", "import mmrace.search.campaign.plan\n", "explore imports mmrace.search.campaign.plan"),
        ("search/text.py", "from mmrace.report import tables\n", "search imports mmrace.report"),
        ("search/text.py", "def f():\n    from mmrace import cli\n", "text.py:2: search imports mmrace.cli"),
        ("report/x.py", "from mmrace.kernel.mm import page\n", "report imports mmrace.kernel.mm.page"),
        ("kernel/mm/x.py", "from loguru import logger\n", "third-party packages allowed there: none"),
        ("runtime/x.py", "import rich\n", "third-party packages allowed there: greenlet"),
        ("kernel/mm/x.py", "from mmrace.kernel.mm.page import get_page\n", "write `from mmrace.kernel.mm import page`"),
        ("kernel/mm/x.py", "from .page import get_page\n", "imports the name get_page from mmrace.kernel.mm.page"),
        ("kernel/mm/x.py", "def f(z):\n    if z.canary:\n        pass\n", "x.py:2: kernel/ decides on 'canary'"),
        ("kernel/mm/x.py", "y = 1 if bug_lost_copy else 2\n", "decides on 'bug_lost_copy'"),
        ("helpers/x.py", "", "helpers has no place in the layers"),
    ],
)
def test_breach_is_caught_and_located(tree: Tree, name: str, text: str, needle: str) -> None:
    found = check(tree({**GOOD, name: text}))
    assert len(found) == 1
    assert needle in found[0]


def test_the_general_half_may_import_nothing_of_the_model() -> None:
    model = {"kernel", "actors", "scenarios", "history", "oracles/protocol"}
    for room in GENERAL:
        layer = layer_of(f"mmrace.{room.replace('/', '.')}.x")
        assert layer not in LAYERS or not LAYERS[layer].below & model, room


def test_the_innermost_layer_is_the_one_of_a_file() -> None:
    assert layer_of("mmrace.oracles.general.ledger") == "oracles/general"
    assert layer_of("mmrace.oracles") == "oracles"
    assert layer_of("mmrace.kernel.mm.page") == "kernel"
    assert layer_of("mmrace.nowhere.x") == "nowhere"
    assert layer_of("mmrace") == "__init__"


def test_import_cycle_between_files_is_caught_once(tree: Tree) -> None:
    root = tree({"search/a.py": "from mmrace.search import b\n", "search/b.py": "from mmrace.search import a\n"})
    (line,) = check(root)
    assert "import cycle mmrace.search.a -> mmrace.search.b -> mmrace.search.a" in line


def test_import_cycle_for_type_checking_only_is_caught_too(tree: Tree) -> None:
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mmrace.search import a\n"
    (line,) = check(tree({"search/a.py": "from mmrace.search import b\n", "search/b.py": typed}))
    assert "search/b.py:3: import cycle mmrace.search.a -> mmrace.search.b -> mmrace.search.a" in line


def test_cycle_inside_kernel_passes(tree: Tree) -> None:
    cycle = {"kernel/a.py": "from mmrace.kernel import b\n", "kernel/b.py": "from mmrace.kernel import a\n"}
    assert check(tree(cycle)) == []


def test_name_for_type_checking_passes_inside_kernel(tree: Tree) -> None:
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mmrace.kernel.mm.page import get_page\n"
    assert check(tree({**GOOD, "kernel/mm/x.py": typed})) == []


def test_struct_imported_by_name_passes_inside_kernel(tree: Tree) -> None:
    files = {"kernel/a.py": "class Page(rt.Struct): ...\n", "kernel/b.py": "from mmrace.kernel.a import Page\n"}
    assert check(tree(files)) == []


def test_kernel_spelling_of_bug_on_passes(tree: Tree) -> None:
    assert check(tree({**GOOD, "kernel/mm/x.py": "def f(rt):\n    if rt.bug_on(1, 'x'):\n        pass\n"})) == []


def test_type_from_above_is_still_above(tree: Tree) -> None:
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mmrace.search import campaign\n"
    (line,) = check(tree({**GOOD, "runtime/x.py": typed}))
    assert "runtime imports mmrace.search.campaign" in line


def test_command_line_exits_1_with_file_and_line(tree: Tree) -> None:
    root = tree({"runtime/x.py": "import rich\n"})
    done = subprocess.run([sys.executable, str(TOOL), str(root)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "runtime/x.py:1:" in done.stdout.replace("\\", "/")


def test_empty_root_says_where_to_run(tmp_path: Path) -> None:
    (line,) = check(tmp_path)
    assert "run this from the top of the checkout" in line


@pytest.mark.slow
def test_this_checkout_is_clean() -> None:
    assert check(TOOL.parent.parent) == []
