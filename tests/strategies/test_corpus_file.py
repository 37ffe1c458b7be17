"""The file of a corpus: what is read is what `grow` made; anything else is refused, unread where it has no end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmrace.runtime.errors import UsageError
from mmrace.strategies import feedback
from mmrace.strategies.feedback import PARENTS_MAX, Corpus, Shown, corpus_of, grow

MADE = grow(Corpus(), [Shown((0.25, 0.0, 0.999), frozenset({"a", "b"})), Shown((0.5,), frozenset({"c"}))])

DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no parents": lambda data: data.pop("parents"),
    "parents in an object": lambda data: data.update(parents={}),
    "more parents than are kept": lambda data: data.update(parents=data["parents"] * PARENTS_MAX),
    "a draw in words": lambda data: data["parents"][0].update(draws=["half"]),
    "a draw that is no number": lambda data: data["parents"][0].update(draws=[float("nan")]),
    "a draw of one": lambda data: data["parents"][0].update(draws=[1.0]),
    "a draw below zero": lambda data: data["parents"][0].update(draws=[-0.5]),
    "draws that are a number": lambda data: data["parents"][0].update(draws=0.5),
    "what was new as a number": lambda data: data["parents"][0].update(new=[7]),
    "children below zero": lambda data: data["parents"][0].update(children=-1),
    "children in halves": lambda data: data["parents"][0].update(children=0.5),
    "a start that is no number": lambda data: data.update(start=float("inf")),
    "a start without bound": lambda data: data.update(start=10**400),
    "what was seen as an object": lambda data: data.update(seen={}),
    "a list in lists without end": lambda data: data["parents"][0].update(new=nested(100)),
}


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else "x"


def refused(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        corpus_of(str(path))
    assert caught.value.where == str(path)
    return str(caught.value)


def test_a_corpus_is_read_from_its_file_as_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps(MADE.to_json()))
    again = corpus_of(str(path))
    assert again == MADE
    assert again.digest == MADE.digest


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_corpus_of_another_shape_is_refused_by_its_file(tmp_path: Path, damage: str) -> None:
    data = MADE.to_json()
    DAMAGE[damage](data)
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps(data))
    assert "corpus" in refused(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"parents": [], "seen": [], "start": 1'])
def test_what_is_no_json_of_a_corpus_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "corpus.json"
    path.write_bytes(content)
    refused(path)


def test_a_fifo_and_a_file_beyond_the_limit_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "not a regular file" in refused(tmp_path / "fifo")
    (tmp_path / "large").write_text(json.dumps(MADE.to_json()))
    monkeypatch.setattr(feedback, "BYTES_MAX", 10)
    assert "a larger one" in refused(tmp_path / "large")
