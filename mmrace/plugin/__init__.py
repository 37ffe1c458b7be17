"""The pytest plugin: tests whose body, or whose scenario, is explored; what failed is kept, and tried first.

pytest imports `hooks.py` in each of its sessions, so that file imports nothing of mmrace beside this folder; the rest
is imported by the first test that has the marker, or uses the fixture.
"""

MARK = "mmrace"
PROPERTY = "mmrace"
"""Of a report: a line for the summary.  It travels from a worker of pytest-xdist as every property does."""
KEPT = "kept schedule"
"""How a line begins that is shown without -v: of what was tried from the database."""
