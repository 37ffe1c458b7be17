"""The shape of JUnit XML, as its readers have it in their schemas (of Ant and of Jenkins), as far as it is used here.

Element -> attributes that must be there, attributes that may, and children in their order with how often each may come.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.etree import ElementTree


class Shape(NamedTuple):
    """What an element has.  `children`: name -> (least, most), in order."""

    must: frozenset[str]
    may: frozenset[str]
    children: dict[str, tuple[int, int]]
    text: bool = False


ANY = 1 << 30


def _shape(must: str, may: str = "", *, text: bool = False, **children: tuple[int, int]) -> Shape:
    named = {name.replace("_", "-"): bounds for name, bounds in children.items()}
    return Shape(frozenset(must.split()), frozenset(may.split()), named, text)


ENDED = "skipped", "error", "failure"
SHAPES = {
    "testsuites": _shape("", "name tests failures errors time", testsuite=(0, ANY)),
    "testsuite": _shape(
        "name tests failures errors time timestamp hostname", "skipped", properties=(1, 1), testcase=(0, ANY)
    ),
    "properties": _shape("", property=(0, ANY)),
    "property": _shape("name value"),
    "testcase": _shape(
        "classname name", "time", skipped=(0, 1), error=(0, 1), failure=(0, 1), system_out=(0, 1)
    ),
    "skipped": _shape("", "message", text=True),
    "error": _shape("message type", text=True),
    "failure": _shape("message type", text=True),
    "system-out": _shape("", text=True),
}  # fmt: skip


def breaches(text: str) -> list[str]:
    """Return what is not of that shape.  Raises ParseError for what is no XML."""
    root = ElementTree.fromstring(text.encode())  # as bytes, so that what the declaration says of them counts
    found = [] if root.tag == "testsuites" else [f"the root is {root.tag}"]
    for element in root.iter():
        found += _of_element(element)
    for suite in root.iter("testsuite"):
        found += _counts(suite)
    return found


def _of_element(element: ElementTree.Element) -> list[str]:
    shape = SHAPES.get(element.tag)
    if shape is None:
        return [f"no element {element.tag}"]
    attributes = set(element.keys())
    found = [f"{element.tag} lacks {name}" for name in shape.must - attributes]
    found += [f"{element.tag} has {name}" for name in attributes - shape.must - shape.may]
    if not shape.text and (element.text or "").strip():
        found.append(f"{element.tag} has text")
    names = [child.tag for child in element]
    order = list(shape.children)
    found += [f"{element.tag} has {name}" for name in names if name not in shape.children]
    if names != sorted(names, key=lambda name: order.index(name) if name in order else ANY):
        found.append(f"{element.tag} has its children in another order: {names}")
    for name, (least, most) in shape.children.items():
        if not least <= names.count(name) <= most:
            found.append(f"{element.tag} has {names.count(name)} {name}")
    if element.tag == "testcase" and sum(name in ENDED for name in names) > 1:
        found.append(f"testcase {element.get('name')} ended in several ways")
    return found


def _counts(suite: ElementTree.Element) -> list[str]:
    cases = suite.findall("testcase")
    counted = {
        "tests": len(cases),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    names = [(case.get("classname"), case.get("name")) for case in cases]
    found = [
        f"{name} {suite.get(name)}, not {number}" for name, number in counted.items() if suite.get(name) != str(number)
    ]
    return found + (["two testcases have one name"] if len(set(names)) < len(names) else [])
