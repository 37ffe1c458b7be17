"""The telling of a deadlock that did not happen: the ring of links in forward order, and the order that would do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmrace.runtime.wording import ARROW
from mmrace.story.facts import Ghost, Link, Telling
from mmrace.story.scene import Scene


def ring(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell a predicted ring."""
    edges = [edge for edge in finding.get("facts", {}).get("edges", ()) if isinstance(edge, Mapping)]
    links = [_link(scene, edge) for edge in edges]
    if not links:
        return Telling(cause=f"{finding.get('title')}.")
    said = "; ".join(
        f"{link.task} asks for {link.wanted} (step {link.step}{_in(link.where)}) while it holds {link.held} (since "
        f"step {link.held_step}{_in(link.held_where)})"
        for link in links
    )
    late = [link for link in links if link.held_step > links[0].step]
    other = late[0] if late else links[-1]
    cause = (
        f"nobody waited in vain in this run, but another order of the same steps is a deadlock: {said}; if each takes "
        "what it holds before any of them asks, all wait for ever."
    )
    anchors: dict[int, str] = {}
    for link in links:
        if link.held_step < scene.end:
            anchors[link.held_step] = f"{link.task} holds {link.held} from here on"
        if link.step < scene.end:
            anchors[link.step] = f"{link.task} asks for {link.wanted}, and still holds {link.held}"
    ghost = Ghost(
        other.task,
        f"(had {other.task} come to hold {other.held} here, {links[0].task} would wait for ever)",
        links[0].step - 1,
    )
    held = [link.held for link in links]  # by name: by class, as facts have it, two locks of one object are the same
    names = [name for link in links for name in (link.wanted, link.held)]
    return Telling(
        cause=cause,
        expected="all tasks ask for these in one order",
        seen=f"each is taken before the next, and so round: {f' {ARROW} '.join([*held, held[0]])}",
        anchors=anchors,
        ghosts=(ghost,) if late else (),
        objects=tuple(scene.owner(lane) for name in names if (lane := scene.find(name)) is not None),
        moment=max(min(link.step, scene.end) for link in links),
        links=tuple(links),
    )


def _in(where: str) -> str:
    return f", in {where}" if where else ""


def _outer(site: object) -> str:
    return str(site).split(" > ")[0].partition(":")[0] if site else ""


def _link(scene: Scene, edge: Mapping[str, Any]) -> Link:
    names = [str(edge.get(key)) for key in ("held", "wanted")]
    held, wanted = [scene.short(lane) if (lane := scene.find(name)) is not None else name for name in names]
    return Link(
        str(edge.get("task")), held, int(edge.get("held_step") or 0), _outer(edge.get("held_site")), wanted,
        int(edge.get("step") or 0), _outer(edge.get("site")),
    )  # fmt: skip
