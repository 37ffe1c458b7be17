"""Four runners hand a baton on, if it is there when they look, each once.  BUGGY: the finish is not prepared for it.

The baton arrives in one of 24 orders only.
"""

from __future__ import annotations

from mmrace import runtime as rt

RUNNERS = 4


class Track(rt.Struct):
    """Where the baton is."""

    place: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()


def runs(track: Track, me: int) -> None:
    """Take the baton on, if it is here."""
    rt.mutex_lock(track.lock)
    if track.place == me:
        track.place = me + 1
    rt.mutex_unlock(track.lock)


def _play(prepared: bool) -> None:
    track = Track("track")
    for me in reversed(range(RUNNERS)):
        rt.spawn(runs, track, me)
    rt.join_others()
    rt.bug_on(track.place == RUNNERS and not prepared, "the baton arrived")


def main() -> None:
    """BUGGY: says that it never arrives."""
    _play(False)


def mended() -> None:
    """Takes it as it comes."""
    _play(True)
