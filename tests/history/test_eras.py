"""Eras: what each binds, what it says of itself, and that bugs stand on them."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.history import eras
from mmrace.history.era import OWN
from mmrace.history.eras import ERAS
from mmrace.history.variant import CORRECT, Over, applied
from mmrace.installed import catalogue, run_one
from mmrace.kernel.mm import migrate
from mmrace.runtime.errors import UsageError
from mmrace.scenarios import model
from tests.scenarios.staged import gate_spec

PLACES = [(era.name, place) for era in ERAS.values() for place in era.bind]


def test_every_file_is_an_era() -> None:
    files = {path.stem for path in Path(eras.__file__).parent.glob("v*.py")}
    assert files == {"v" + name.replace(".", "_").replace("+", "_").replace("-", "_") for name in ERAS}


def test_each_stands_on_its_neighbour() -> None:
    names = list(ERAS)
    own = names.index(OWN)
    for at, name in enumerate(names):
        on = ERAS[name].on
        assert (on.name if on else None) == (names[at + 1] if at < own else names[at - 1] if at > own else None)
        assert [era.name for era in ERAS[name].stack] == (names[at : own + 1][::-1] or names[own : at + 1])


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_what_an_era_binds_takes_the_same_arguments_or_a_bool_in_place_of_the_mode(name: str, place: str) -> None:
    path, _, bound = place.partition(":")
    original = vars(importlib.import_module(f"mmrace.kernel.{path}"))[bound]
    new = ERAS[name].bind[place]
    takes = list(inspect.signature(new.function if isinstance(new, Over) else new).parameters)
    wants = ["below"] * isinstance(new, Over) + list(inspect.signature(original).parameters)
    assert [("mode" if arg == "sync" else arg) for arg in takes] == wants


def test_names_are_as_before_after_each() -> None:
    before = dict(vars(migrate))
    for era in ERAS.values():
        with applied(*era.stack, CORRECT):
            pass
        assert vars(migrate) == before


def test_one_that_does_not_exist_is_refused_and_all_are_listed() -> None:
    with pytest.raises(UsageError) as caught:
        run_one(replace(gate_spec("async-vs-commit", 1), era="3.0"))
    assert all(name in str(caught.value.expected) for name in ERAS) and "mmrace list eras" in caught.value.try_


def test_a_catalogue_has_them_in_order() -> None:
    known = catalogue()
    assert list(known.eras) == list(ERAS) and known.era == OWN


def test_the_header_and_the_command_name_it() -> None:
    spec = replace(gate_spec("async-vs-commit", 1), era="3.1")
    assert "--era 3.1" in spec.command() and "--era" not in replace(spec, era="").command()
    for era, says in (("3.1", "3.1"), ("", OWN), (OWN, OWN)):
        made = run_one(replace(spec, era=era), keep_record=True)
        assert made.record is not None and made.record.header["era"] == says


def test_a_record_s_model_is_another_one_in_another_era_and_knows_the_files_of_its_own() -> None:
    names = {name: [path.stem for path in eras.sources(era)] for name, era in ERAS.items()}
    assert names[OWN] == [] and names["3.4"] == ["v3_4"]
    assert names["3.1"] == ["v3_1", "v3_2", "v3_2_trylock", "v3_2_sync_light"]
    assert len({model.digest(*eras.sources(era)) for era in ERAS.values()}) == len(ERAS)
    assert model.digest(*eras.sources(ERAS[OWN])) == model.digest()
