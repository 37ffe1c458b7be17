"""Records are the same on every version of Python: those that were made on the oldest one are made on this one."""

from __future__ import annotations

import json

import pytest

from mmrace.installed import MAKERS, run_one
from mmrace.runs.follow import with_sites
from tests.runs.golden import FILE, SPECS, digest


@pytest.mark.parametrize("name", SPECS)
def test_a_record_has_the_digest_that_it_has_on_the_oldest_python(name: str) -> None:
    assert digest(SPECS[name]) == json.loads(FILE.read_text("utf-8"))[name], "see golden.py if the model changed"


def test_no_site_of_a_program_is_in_a_comprehension() -> None:
    record = with_sites(run_one(SPECS["expressions"], keep_record=True), MAKERS)
    functions = {part.partition(":")[0] for site in record.sites if site for part in site.split(" > ")}
    assert "lists" in functions and "<genexpr>" in functions
    assert not functions & {"<listcomp>", "<setcomp>", "<dictcomp>"}
