"""Which model made a record: the digest follows the source of its files, and nothing else."""

from __future__ import annotations

from pathlib import Path

from mmrace.scenarios import model
from mmrace.scenarios.model import digest_of


def test_the_digest_follows_names_and_contents_in_any_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("a = 1\n")
    two.write_text("b = 2\n")
    before = digest_of(tmp_path, one, two)
    assert before == digest_of(tmp_path, two, one)
    two.write_text("b = 3\n")
    assert digest_of(tmp_path, one, two) != before
    two.write_text("b = 2\n")
    assert digest_of(tmp_path, one, two) == before
    assert digest_of(tmp_path, one, two.rename(tmp_path / "three.py")) != before


def test_no_byte_moves_from_one_file_to_the_next_unseen(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("ab")
    two.write_text("c")
    before = digest_of(tmp_path, one, two)
    one.write_text("a")
    two.write_text("bc")
    assert digest_of(tmp_path, one, two) != before


def test_the_model_is_what_casts_are_made_of() -> None:
    root = Path(model.__file__).parents[1]
    paths = [path for package in model.PACKAGES for path in (root / package).rglob("*.py")]
    assert root / "kernel" / "mm" / "migrate.py" in paths and model.digest() == digest_of(root, *paths)
