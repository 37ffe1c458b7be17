"""The texts beside the code: what they name exists, and what they show how to add is added, and works.

Each how-to's blocks are put into a copy of the package as a developer would put them into the house: a Python block
becomes the file that it names, a diff changes the file that it names, and the commands are run there.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from mmrace import runtime as rt
from mmrace.claims.judges import CLAIMS
from mmrace.cli.group import cli
from mmrace.installed import catalogue
from mmrace.oracles.protocol import PROTOCOL

ROOT = Path(__file__).resolve().parent.parent
HOW_TOS = ("actors", "oracles", "strategies", "history")
NUMBERS = "mmrace/kernel/PROTOCOL.md"
TEXTS = (
    "README.md", "CONTRIBUTING.md", "mmrace/TOUR.md", "mmrace/WORDS.md", NUMBERS, "mmrace/claims/CLAIMS.md",
    "mmrace/claims/ORDER.md", "mmrace/report/night/README.md",
    "mmrace/report/store/README.md",
    "mmrace/runtime/RECORD.md", "mmrace/scenarios/RECORD.md", "mmrace/examples/README.md", "mmrace/plugin/README.md",
    *(f"mmrace/{folder}/README.md" for folder in HOW_TOS),
)  # fmt: skip
HOW_TO_LINES_MAX = 50
TOUR_FILES = 10
CODE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "mmrace").rglob("*.py")))


class Block(NamedTuple):
    """A fenced block: its language, the file that it names, and its text."""

    language: str
    file: str
    text: str


def read(text: str) -> str:
    return (ROOT / text).read_text(encoding="utf-8")


def how_to(folder: str) -> str:
    return read(f"mmrace/{folder}/README.md")


def blocks(text: str) -> list[Block]:
    return [Block(*found) for found in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", text, re.M | re.S)]


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def quoted(text: str) -> list[str]:
    """Return what stands in backticks outside of blocks."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(text))]


def commands(text: str) -> list[str]:
    """Return the commands that a text names: those of its console blocks, and those in backticks."""
    consoles = [block.text.splitlines() for block in blocks(text) if block.language == "console"]
    shown = [line[2:] for console in consoles for line in console if line.startswith("$ ")]
    return [*shown, *(word for word in quoted(text) if re.match(r"(mmrace|make|python|\.venv/bin/python) ", word))]


# -- paths and commands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_every_path_named_exists(text: str) -> None:
    here = (ROOT / text).parent
    links = [place.partition("#")[0] for place in re.findall(r"\]\(([^)]+)\)", prose(read(text)))]
    missing = [place for place in links if "://" not in place and not (here / place).exists()]
    made = {block.file for block in blocks(read(text)) if block.language == "python"}
    for word in quoted(read(text)):
        path = word.partition(":")[0]
        if re.fullmatch(r"(\.ci|mmrace|stress|tests|tools)/[\w./-]*", path) and path not in made:
            missing += [path] * (not (ROOT / path).exists())
    assert missing == []


@pytest.mark.parametrize("text", TEXTS)
def test_every_command_named_exists(text: str) -> None:
    for command in commands(read(text)):
        words = shlex.split(command, comments=True)
        known = EXISTS.get(Path(words[0]).name)
        assert known is not None and known(words[1:]), command


def is_command(words: list[str]) -> bool:
    command = cli.commands.get(words[0])
    if command is None:
        return False
    options = {option for parameter in command.params for option in parameter.opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    return given <= options | {"--help"}


def is_target(words: list[str]) -> bool:
    return all(re.search(rf"^{word}:", read("Makefile"), re.M) for word in words if re.fullmatch(r"[a-z-]+", word))


def is_script(words: list[str]) -> bool:
    if words[0] == "-m":
        return words[1] == "pytest" or (ROOT / (words[1].replace(".", "/") + ".py")).exists()
    options = [word.partition("=")[0] for word in words if word.startswith("--") and word != "--help"]
    return (ROOT / words[0]).exists() and all(f'"{option}"' in read(words[0]) for option in options)


EXISTS: dict[str, Callable[[list[str]], bool]] = {"mmrace": is_command, "make": is_target, "python": is_script}


def test_the_tour_has_ten_files() -> None:
    steps = re.findall(r"^(\d+)\. `([\w./]+)`", read("mmrace/TOUR.md"), re.M)
    assert [int(number) for number, _ in steps] == list(range(1, TOUR_FILES + 1))
    assert len({path for _, path in steps}) == TOUR_FILES


def test_the_runtime_tells_by_topic_every_call_that_it_has() -> None:
    calls = {name for name in rt.__all__ if name.islower()}
    assert calls - set(re.findall(r"`(\w+)`", rt.__doc__ or "")) == set()


def test_each_word_has_one_entry() -> None:
    words = [word for row in re.findall(r"^\| ([^|]+) \|", read("mmrace/WORDS.md"), re.M) for word in row.split(", ")]
    entries = [word for word in words if word not in ("word", "---")]
    assert len(entries) > 50 and len(set(entries)) == len(entries)


# -- the protocol's numbers ---------------------------------------------------------------------------------------


def entries() -> list[str]:
    return re.findall(r"^- \*\*([CIR]\d+)\*\*", read(NUMBERS), re.M)


def test_every_number_of_the_protocol_has_an_entry() -> None:
    wanted = [f"I{i}" for i in range(1, 16)] + [f"R{i}" for i in range(1, 38)] + [f"C{i}" for i in range(21)]
    assert entries() == wanted


def test_every_number_that_code_and_tests_speak_of_has_an_entry() -> None:
    tests = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)
    )
    spoken = set(re.findall(r"(?<![\w\"'-])([CIR]\d+)\b", CODE + tests))
    assert spoken and spoken <= set(entries())


def test_every_claim_and_each_of_its_parts_is_among_the_numbers() -> None:
    assert [name for name in entries() if name.startswith("C")] == list(CLAIMS)
    parts = {part.name for claim in CLAIMS.values() for part in claim.parts}
    named = set(re.findall(r"(?<![\w`])C\d+[a-z+]*(?![\w`*])", prose(read(NUMBERS))))
    assert parts - named == set()
    assert named - parts - set(CLAIMS) == set()


def test_what_the_numbers_point_at_is_there() -> None:
    known = catalogue()
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    kernel = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "mmrace/kernel").rglob("*.py")}
    params = {name: param for made in known.scenarios.values() for name, param in made.params.items()}
    names = {*known.marks, *PROTOCOL, *known.scenarios, *known.canaries, *params}

    def there(word: str) -> bool:
        module, _, name = word.partition(".")
        if word in names or re.match(r"mmrace |mmrace/", word):
            return True  # commands and paths have tests of their own
        if word.startswith("test_"):
            return f"def {word}(" in tests
        if module in kernel and re.fullmatch(r"\w+", name):
            return f"def {name}(" in kernel[module]
        if re.fullmatch(r"(mm|fs|jbd|block)/\w+\.py", word):
            return (ROOT / "mmrace/kernel" / word).exists()
        if "=" in word:
            return word.partition("=")[0] in params
        return re.search(rf"\b{re.escape(word.removeprefix('rt.').removeprefix('->'))}\b", CODE) is not None

    assert [word for word in quoted(read(NUMBERS)) if not there(word)] == []
    rules = re.findall(r"\"([^\"]+)\"", prose(read(NUMBERS)))
    assert rules and [rule for rule in rules if f'"{" ".join(rule.split())}"' not in CODE] == []


# -- how to add ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", HOW_TOS)
def test_a_how_to_is_short(folder: str) -> None:
    assert len(how_to(folder).splitlines()) <= HOW_TO_LINES_MAX


def patched(source: str, diff: str) -> str:
    """Return a source with a diff applied, whose old lines must stand there exactly once."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
        assert f"\n{source}".count(f"\n{old}") == 1, old
        source = f"\n{source}".replace(f"\n{old}", f"\n{new}")[1:]
    return source


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the package with everything added that the how-tos add."""
    root = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "mmrace", root / "mmrace", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in HOW_TOS:
        for block in blocks(how_to(folder)):
            path = root / block.file
            if block.language == "python":
                assert not path.exists()
                path.write_text(block.text, encoding="utf-8")
            elif block.language == "diff":
                path.write_text(patched(path.read_text(encoding="utf-8"), block.text), encoding="utf-8")
    return root


def run(house: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=house,
        env={"PYTHONPATH": str(house), "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [line[2:] for folder in HOW_TOS for b in blocks(how_to(folder)) if b.language == "console"
                for line in b.text.splitlines()]
)  # fmt: skip
def test_every_command_of_a_how_to_does_what_it_says(house: Path, command: str) -> None:
    done = run(house, "-m", *shlex.split(command, comments=True))
    assert done.returncode == (1 if command.endswith("# ends in FAIL") else 0), f"{done.stdout}\n{done.stderr}"
    expected = {"list params": " stats ", "list strategies": " sticky "}
    for words, text in expected.items():
        if words in command:
            assert text in done.stdout


@pytest.mark.slow
def test_what_the_how_tos_add_stands_on_its_layer(house: Path) -> None:
    done = run(house, str(ROOT / "tools/check_layers.py"), str(house))
    assert done.returncode == 0, done.stdout


def explored(house: Path, program: str, **options: object) -> dict[str, object]:
    """Explore in the copy; return the verdict, and the findings as "oracle: rule"."""
    code = (
        "import json, sys, mmrace\n"
        "program, options = json.loads(sys.argv[1])\n"
        "found = mmrace.explore(program, **options)\n"
        "print(json.dumps([found.verdict, found.schedules, [f'{f.oracle}: {f.rule}' for f in found.findings]]))"
    )
    done = run(house, "-c", code, json.dumps([program, options]))
    assert done.returncode == 0, done.stderr
    verdict, schedules, findings = json.loads(done.stdout)
    return {"verdict": verdict, "schedules": schedules, "findings": findings}


CROWD = """
from mmrace import runtime as rt

class Place(rt.Struct):
    open = rt.shared(0)
    line = rt.wait_queue()

def main(sleepers: int = 2) -> None:
    place = Place("place")
    for _ in range(sleepers):
        rt.spawn(rt.wait_event, place.line, lambda: place.open)
    rt.schedule()
    place.open = 1
    rt.wake_up_all(place.line)
    rt.join_others()
"""


@pytest.mark.slow
def test_the_oracle_of_the_how_to_catches_what_it_should_and_passes_the_rest(house: Path) -> None:
    (house / "crowd.py").write_text(CROWD, encoding="utf-8")
    crowd = {"strategy": "random", "schedules": 30, "params": {"sleepers": 40}, "without": ["data-race"]}
    caught = explored(house, "crowd.py:main", **crowd)
    assert (caught["verdict"], caught["findings"]) == ("FAIL", ["herd: thundering herd"])
    assert explored(house, "crowd.py:main", exhaustive=True, without=["data-race"])["verdict"] == "PASS"
    crowd["without"] = ["data-race", "herd"]
    assert explored(house, "crowd.py:main", **crowd)["verdict"] == "PASS"


@pytest.mark.slow
def test_the_strategy_of_the_how_to_is_the_one_that_chooses(house: Path) -> None:
    found = explored(house, "mmrace/examples/lost_update.py:main", strategy="sticky:turn=2", schedules=60)
    assert "exception: AssertionError" in str(found["findings"])
    code = (
        "from mmrace.installed import run_one; from mmrace.runs.spec import RunSpec\n"
        "spec = RunSpec('async-vs-commit', engine='fiber', strategy='sticky:turn={}')\n"
        "print(run_one(spec).switches)"
    )
    often, seldom = (int(run(house, "-c", code.format(turn)).stdout) for turn in (2, 50))
    assert seldom < often / 2


@pytest.mark.slow
def test_the_actor_of_the_how_to_plays_its_rounds(house: Path) -> None:
    done = run(house, "-m", "mmrace", "run", "migrate-vs-stat", "--engine", "fiber", "--record", "stat.jsonl")
    assert done.returncode == 0, done.stdout
    record = (house / "stat.jsonl").read_text(encoding="utf-8").splitlines()
    notes = [event[4] for event in map(json.loads, record[1:-1]) if event[3] == "round"]
    assert [number for actor, number in notes if actor == "stat"] == [0, 1]


@pytest.mark.slow
def test_the_canary_of_the_how_to_is_caught_as_it_says(house: Path) -> None:
    code = (
        "import mmrace; from mmrace.installed import catalogue\n"
        "canary = catalogue().canaries['forgotten-page-wake']\n"
        "found = mmrace.explore(canary.scenario, variant=canary.name, params=canary.params_under('fiber'),\n"
        "                       schedules=60, until_found=True)\n"  # it shows in more than half of them
        "print(canary.caught_in(found.findings))"
    )
    assert run(house, "-c", code).stdout == "True\n"
