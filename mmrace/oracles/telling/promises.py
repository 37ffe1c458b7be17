"""The stories of promises about the disk: an fsync that returned too early, a crash that shows what it must not.

Each is told by the transfer of the block in question: who submitted it, and when it was over.  Invariant: works from
the notes of the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmrace.oracles.telling.content import formatted_of
from mmrace.oracles.telling.data import Transfer, notes_of, transfers
from mmrace.oracles.telling.numbers import kept_by, rule
from mmrace.story.facts import Ghost, Telling
from mmrace.story.scene import Scene

HANDED_OPS = 8  # events between the hand-over of a lock to a transfer and its submission
WAITS = rule("fsync waits for the transfer of each page that it wrote before it returns", "filemap.filemap_fdatawait")
WRITE_AHEAD = rule(
    "metadata that a transaction has is dirty for the journal alone: it goes home after the commit block, never before",
    "transaction.journal_dirty_metadata", "commit.journal_commit_transaction",
)  # fmt: skip


def early_fsync(scene: Scene, finding: Mapping[str, Any], general: Telling) -> Telling:
    """Tell of an fsync that returned while what it promised was still on its way."""
    facts = finding["facts"]
    step, who, since = int(facts["step"]), str(facts["task"]), int(facts.get("since", 0))
    home = str(facts.get("inode")), int(facts.get("block", 0))
    block = formatted_of(scene).blocknr(home)
    wrote = list(notes_of(scene, "write-end", *home, until=since))
    moving = _on_its_way(scene, block, step)
    where = f"block {home[1]} of inode {home[0]}"
    anchors = {since: "", step: "with success"}
    told = ""
    if wrote:
        version = scene.events[wrote[-1]][3][2]
        told = f", which {scene.who(wrote[-1])} had written (version {version}, step {wrote[-1]}),"
        anchors[wrote[-1]] = f"version {version} is acknowledged: fsync owes it to the disk"
    if moving is None:
        rest = "nobody had submitted it to the disk since"
        ghost = Ghost(who, f"(submit {where} and wait for it)", step - 1)
    else:
        over = f"was over at step {moving.end} only" if moving.end is not None else "was not over when the run ended"
        rest = f"the transfer that {moving.task} had submitted at step {moving.begin} {over}"
        anchors[moving.begin] = f"{where} sets out for the disk"
        if moving.end is not None:
            anchors[moving.end] = "only now the disk has it"
        ghost = Ghost(who, f"(wait for that transfer: until step {moving.end or '...'})", step - 1)
    return replace(
        general,
        cause=f"the fsync of inode {home[0]} by {who} returned 0 at step {step}, but {where}{told} was not on "
        f"the disk: {rest}.",
        expected=f"when fsync returns, the disk has what was written to {where} before it began",
        seen=str(finding.get("title")),
        anchors=anchors,
        ghosts=(ghost,),
        moment=step,
        protects=(WAITS,),
    )


def _on_its_way(scene: Scene, block: int, step: int) -> Transfer | None:
    """Return the write of a block that is under way at a step."""
    mine = [one for one in transfers(scene, block) if one.direction == "write" and one.begin < step]
    return next((one for one in reversed(mine) if one.end is None or one.end > step), None)


def early_commit(scene: Scene, finding: Mapping[str, Any], general: Telling) -> Telling:
    """Tell of a commit block that was submitted before the data of its transaction were on the disk."""
    facts = finding["facts"]
    step, home = int(facts["step"]), (str(facts.get("inode")), int(facts.get("block", 0)))
    block = formatted_of(scene).blocknr(home)
    where = f"block {home[1]} of inode {home[0]}"
    wrote = list(notes_of(scene, "write-end", *home, until=step))
    moving, over = _on_its_way(scene, block, step), _last(scene, block, step)
    cause = f"{facts['task']} submitted the commit block at step {step}, though {where}"
    anchors = {step: "the commit block sets out"}
    if wrote:
        cause += f", which {scene.who(wrote[-1])} had written at step {wrote[-1]},"
        anchors[wrote[-1]] = "data of the transaction"
    if moving is not None:
        cause += f" was still on its way: {moving.task} had submitted it at step {moving.begin}"
        anchors[moving.begin] = f"{where} sets out for the disk"
    elif over is not None and over.end is not None:
        cause += f" is older on the disk: its last transfer, of {over.task}, ran from step {over.begin} to {over.end}"
        anchors |= {over.begin: f"the last transfer of {where}", over.end: "it is over"}
    else:
        cause += " had never been submitted"
    return replace(
        general,
        cause=f"{cause}. A crash now finds a committed transaction without its data.",
        expected="data=ordered: the data of a transaction are on the disk before its commit block is submitted",
        seen=str(finding.get("title")),
        anchors=anchors,
        ghosts=(Ghost(str(facts["task"]), f"(wait until {where} is on the disk)", step - 1),),
        moment=step,
        protects=kept_by("R13"),
    )


def too_early(scene: Scene, finding: Mapping[str, Any], general: Telling) -> Telling:
    """Tell of a crash that shows a change whose transaction is not committed."""
    facts = finding["facts"]
    step, landed = int(facts["step"]), [int(block) for block in facts.get("landed", ())]
    layout = formatted_of(scene)
    home = int(facts.get("block", -1))
    block = next((number for number in landed if number == home or layout.where(number)[1] == home), home)
    moving = _on_its_way(scene, block, step + 1) or _last(scene, block, step)
    region, number = layout.where(block)
    base = replace(
        general, expected="after a crash the disk shows committed transactions, whole, and nothing of others"
    )
    if moving is None:
        return replace(base, protects=(WRITE_AHEAD,))
    changed = list(notes_of(scene, "change-end", number, until=moving.begin))
    anchors = {
        moving.begin: f"the home of block {number} of {region}",
        step: "a crash here shows it",
    }
    what = f"block {number} of {region}"
    locked = _locked_for(scene, moving.begin)
    if locked is not None:
        anchors[locked] = "locks the buffer for its I/O"
    cause = f"{moving.task} wrote {what} home ({_from(scene, moving.begin)})"
    committed = facts.get("committed")
    if changed:
        at = changed[-1]
        cause += f", with the change that {scene.who(at)} had made at step {at},"
        anchors[at] = "the change, part of a transaction that is still open"
    cause += f" before its transaction was committed; the last one that is, is {committed}"
    sealed = [at for at in notes_of(scene, "commit-end") if at > moving.begin]
    if sealed:
        anchors[sealed[0]] = "the transaction is committed only now"
        cause += f", the next one ends at step {sealed[0]}"
    lost = f"a crash at step {step} leaves a change on the disk that no committed transaction has"
    return replace(
        base,
        cause=f"{cause}: {lost}.",
        seen=str(finding.get("title")),
        anchors=anchors,
        ghosts=(Ghost(moving.task, "(wait for the commit of its transaction before this)", moving.begin - 1),),
        moment=moving.begin,
        protects=(WRITE_AHEAD,),
    )


def _from(scene: Scene, begin: int) -> str:
    """Say when a transfer was submitted, and which function had locked its buffer for it."""
    locked = _locked_for(scene, begin)
    function = scene.function(locked) if locked is not None else ""
    return (f"its buffer locked in {function}, " if function else "") + f"submitted at step {begin}"


def _locked_for(scene: Scene, begin: int) -> int | None:
    """Return where the buffer was locked whose lock was handed to a transfer that begins at a step."""
    task = scene.events[begin][0]
    mine = [
        tenure
        for tenures in scene.tenures.values()
        for tenure in tenures
        if tenure.task == task and tenure.handed is not None and begin - HANDED_OPS <= tenure.handed <= begin
    ]
    return max(mine, key=lambda tenure: tenure.handed or 0).taken if mine else None


def _last(scene: Scene, block: int, step: int) -> Transfer | None:
    mine = [one for one in transfers(scene, block) if one.direction == "write" and one.begin <= step]
    return mine[-1] if mine else None


def lost_promise(scene: Scene, finding: Mapping[str, Any], general: Telling) -> Telling:
    """Tell of a crash that loses what an fsync had promised."""
    facts = finding["facts"]
    step, block = int(facts["step"]), int(facts.get("block", -1))
    region, number = formatted_of(scene).where(block)
    returned = list(notes_of(scene, "fsync-end", region, until=step + 1))
    moving = _on_its_way(scene, block, step + 1)
    base = replace(general, protects=(WAITS,), expected="after a crash the disk has all that an fsync promised")
    if not returned:
        return base
    at = returned[-1]
    who = scene.who(at)
    cause = f"{who} returned from fsync of inode {region} at step {at}, but block {number} of it was not on the disk"
    anchors = {at: "fsync promises it", step: "a crash here loses it"}
    if moving is not None:
        cause += (
            f": the transfer that {moving.task} had submitted at step {moving.begin} was still under way at step {step}"
        )
        anchors[moving.begin] = f"{moving.task} submits block {block}"
        if moving.end is not None:
            anchors[moving.end] = "only now the disk has it"
    return replace(
        base,
        cause=f"{cause}; a crash there loses it.",
        seen=str(finding.get("title")),
        anchors=anchors,
        ghosts=(Ghost(who, f"(wait for the transfer of block {block})", at - 1),),
        moment=step,
    )
