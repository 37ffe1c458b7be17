"""The crash oracle: what recovery makes of the medium at any moment, against what was committed and promised."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace.installed import MAKERS
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd import commit, jbd
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import Journal, JournalHead, Transaction
from mmrace.kernel.mm.mm_types import Page
from mmrace.oracles.general.judgement import NOTHING, Judgement
from mmrace.oracles.protocol import durability
from mmrace.oracles.protocol.crash import EXHAUSTIVE_MAX, GIVEN_UP, SAMPLES, SLIPPED, possible, subsets
from mmrace.oracles.protocol.writes import Write
from mmrace.runs.play import play
from mmrace.runs.spec import RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record
from mmrace.scenarios import crash
from stress import planted
from tests.oracles.hand import Hand
from tests.oracles.protocol.planted import OFTEN, STRATEGIES, findings, rules
from tests.oracles.verdicts import caught, passed, unknown

LAYOUT = (("inodes", 0, 4), ("log", 4, 40), (1, 44, 2))
HOME, DATA, SUPERBLOCK = 1, 44, 46
PAGE = "page:3"


class Disk(Hand):
    """A record of one inode block, words 0 and 1 of its page, and of a journal whose log begins at block 4."""

    def __init__(self, *regions: tuple[str, int, int]) -> None:
        super().__init__("writer", "fsync", "committer", "other", *(f"io-{n}" for n in range(9)))
        self.note("main", "layout", *LAYOUT, *regions)
        self.write("main", "bh:1.b_blocknr", HOME, -1).write("main", "bh:1.b_page", PAGE).write(
            "main", "jh:1.b_bh", "bh:1"
        )

    def change(self, tid: int, value: int) -> Disk:
        """Change the block, in a transaction that closes."""
        for i in range(2):
            self.op("writer", Kind.WRITE, f"{PAGE}.words", 0, value, sub=f"[{i}]")
        self.write("writer", "jh:1.b_transaction", f"transaction:{tid}").write("writer", "jh:1.b_jlist", "BJ_Metadata")
        self.write("committer", f"transaction:{tid}.t_state", "T_FLUSH", "T_LOCKED")
        return self

    def begin(self, blocknr: int) -> Disk:
        self.note("committer", "io-begin", "write", blocknr)
        return self

    def land(self, blocknr: int, *words: int, error: int = 0) -> Disk:
        """Transfer a block, and end its write."""
        io = f"io-{blocknr % 9}"
        for i, word in enumerate(() if error else words):
            self.op(io, Kind.WRITE, f"disk:{blocknr}.words", 0, word, sub=f"[{i}]")
        self.note(io, "io-end", "write", blocknr, error)
        return self

    def io(self, blocknr: int, *words: int, error: int = 0) -> Disk:
        return self.begin(blocknr).land(blocknr, *words, error=error)

    def own(self, blocknr: int, what: int, tid: int, *homes: int) -> tuple[int, int]:
        """Compose a block that the journal writes for itself; return its words."""
        name = {jbd.JFS_COMMIT_BLOCK: "commit", jbd.JFS_REVOKE_BLOCK: "revoke"}.get(what, "descriptor")
        self.note("committer", "log-block", blocknr, name, tid, homes)
        return jbd.JFS_MAGIC_NUMBER, jbd.log_header(what, tid, tuple((home, 0) for home in homes))

    def logs(self, at: int, tid: int, value: int, home: int = HOME) -> Disk:
        """Write descriptor and copy."""
        self.io(at, *self.own(at, jbd.JFS_DESCRIPTOR_BLOCK, tid, home))
        return self.io(at + 1, value, value)

    def commits(self, at: int, tid: int) -> Disk:
        """Write the commit block."""
        return self.io(at, *self.own(at, jbd.JFS_COMMIT_BLOCK, tid))

    def judged(self) -> Judgement:
        return crash.judge(self.record())


def test_crash_oracle_passes_on_two_transactions_and_a_checkpoint() -> None:
    disk = Disk().change(1, 7).logs(4, 1, 7).commits(6, 1).io(HOME, 7, 7)
    judgement = disk.change(2, 8).logs(7, 2, 8).commits(9, 2).judged()
    passed(judgement)
    assert judgement.checked == 8  # a crash for each write, and one before the first


def test_crash_oracle_catches_a_block_that_is_written_home_before_its_commit_block() -> None:
    finding = caught(Disk().change(1, 7).logs(4, 1, 7).io(HOME, 7, 7).judged(), "shown before it is committed")
    assert "block 1 of inodes shows [7, 7], which is of transaction 1, not [0, 0]" in finding.title


def test_crash_oracle_catches_a_home_write_that_could_overtake_the_commit_block() -> None:
    """Both are in flight at once: the crash may come when the wrong one is there, though in the run it was not."""
    disk = Disk().change(1, 7).logs(4, 1, 7)
    words = disk.own(6, jbd.JFS_COMMIT_BLOCK, 1)
    disk.begin(6).begin(HOME).land(6, *words).land(HOME, 7, 7)
    finding = caught(disk.judged(), "shown before it is committed")
    assert finding.facts["landed"] == [HOME] and finding.facts["lost"] == [6]


def test_crash_oracle_catches_a_commit_block_that_could_overtake_a_copy() -> None:
    disk = Disk().change(1, 7)
    disk.io(4, *disk.own(4, jbd.JFS_DESCRIPTOR_BLOCK, 1, HOME)).begin(5)
    words = disk.own(6, jbd.JFS_COMMIT_BLOCK, 1)
    finding = caught(disk.begin(6).land(5, 7, 7).land(6, *words).judged(), "committed, and lost")
    assert finding.facts["lost"] == [5]


@pytest.mark.parametrize("words", [0, 1], ids=["not begun", "half way"])
def test_crash_oracle_asks_nothing_of_a_write_that_a_run_was_cut_in(words: int) -> None:
    """What it would have brought is not in the record."""
    cut = Disk().change(1, 7).logs(4, 1, 7)
    commit = cut.own(6, jbd.JFS_COMMIT_BLOCK, 1)
    cut.begin(6)
    for i, word in enumerate(commit[:words]):
        cut.op("io-6", Kind.WRITE, "disk:6.words", 0, word, sub=f"[{i}]")
    passed(cut.judged())


class Journalled(Disk):
    """The block is one of a file whose data are journalled: inode 1 has it as its first one."""

    def __init__(self) -> None:
        super().__init__()
        self.write("main", "bh:1.b_blocknr", DATA, HOME)

    def truncate(self, tid: int) -> Journalled:
        """End the file before the block, in a transaction."""
        self.note("writer", "truncate-begin", 1, 0).note("writer", "truncate-size", 1, 0, tid)
        self.op("writer", Kind.CLEAR, "bh:1.b_state", True, sub="BH_Mapped")
        self.note("writer", "truncate-end", 1, 0, 0)
        return self


def test_crash_oracle_wants_a_truncated_block_as_it_was_until_the_truncation_is_committed() -> None:
    """What would lose it: the log's tail moves on though the truncation may still be lost."""
    disk = Journalled().change(1, 7).logs(4, 1, 7, DATA).commits(6, 1)
    assert isinstance(disk, Journalled)
    caught(disk.truncate(2).io(4, 0, 0).judged(), "committed, and lost")
    disk = Journalled().change(1, 7).logs(4, 1, 7, DATA).commits(6, 1)
    assert isinstance(disk, Journalled)
    passed(disk.truncate(2).commits(7, 2).io(4, 0, 0).judged())


def test_crash_oracle_asks_for_a_block_again_that_was_written_after_its_truncation() -> None:
    disk = Journalled().change(1, 7).logs(4, 1, 7, DATA).commits(6, 1)
    assert isinstance(disk, Journalled)
    disk.truncate(2).commits(7, 2).change(3, 8)
    caught(disk.logs(8, 3, 9, DATA).commits(10, 3).judged(), "shown, and of no transaction")


def test_crash_oracle_catches_a_copy_of_something_else() -> None:
    caught(Disk().change(1, 7).logs(4, 1, 9).commits(6, 1).judged(), "shown, and of no transaction")


def test_crash_oracle_catches_a_descriptor_with_a_wrong_home() -> None:
    caught(Disk().change(1, 7).logs(4, 1, 7, home=2).commits(6, 1).judged(), "committed, and lost")


def test_crash_oracle_catches_a_block_that_is_torn_after_recovery() -> None:
    disk = Disk().change(1, 7)
    disk.io(4, *disk.own(4, jbd.JFS_DESCRIPTOR_BLOCK, 1, HOME)).io(5, 7)
    caught(disk.commits(6, 1).judged(), "shown, and of no transaction")


def test_crash_oracle_catches_a_copy_over_the_log_itself() -> None:
    caught(Disk().change(1, 7).logs(4, 1, 7, home=6).commits(6, 1).judged(), "log contradicts itself")


def test_crash_oracle_asks_nothing_of_a_block_that_was_revoked_until_it_is_logged_again() -> None:
    disk = Disk().change(1, 7).logs(4, 1, 7).commits(6, 1)
    disk.io(7, *disk.own(7, jbd.JFS_REVOKE_BLOCK, 2, HOME)).commits(8, 2).io(HOME, 5, 5)
    passed(disk.judged())
    caught(disk.change(3, 9).logs(9, 3, 6).commits(11, 3).judged(), "shown, and of no transaction")


def test_crash_oracle_asks_nothing_of_a_block_that_was_unmapped() -> None:
    disk = Disk().change(1, 7).logs(4, 1, 9).commits(6, 1)
    disk.op("writer", Kind.CLEAR, "bh:1.b_state", True, sub="BH_Mapped")
    unknown(disk.judged())


def test_crash_oracle_asks_nothing_once_the_log_could_not_be_written() -> None:
    assert not Disk().change(1, 7).io(4, error=-5).io(5, 7, 7).commits(6, 1).judged().findings
    disk = Disk().change(1, 7).logs(4, 1, 7)
    disk.own(6, jbd.JFS_COMMIT_BLOCK, 1)
    passed(disk.io(6, error=-5).judged())


def _tail(disk: Disk, at: int, tid: int) -> Disk:
    """Write that the log begins at a block, with a transaction."""
    return disk.io(SUPERBLOCK, jbd.JFS_MAGIC_NUMBER, jbd.log_header(jbd.JFS_SUPERBLOCK_V2, tid, ((at, 0),)))


def _two_transactions(disk: Disk | None = None) -> Disk:
    """The block is in both, and the log's superblock says that it begins with the first."""
    disk = disk or _tail(Disk(("superblock", SUPERBLOCK, 1)), 4, 1)
    disk.change(1, 7).logs(4, 1, 7).commits(6, 1)
    return disk.change(2, 8).logs(7, 2, 8).commits(9, 2)


def test_crash_oracle_passes_on_a_tail_that_moves_after_the_home_write() -> None:
    disk = _tail(_two_transactions().io(HOME, 8, 8), 10, 3)
    passed(disk.change(3, 9).logs(4, 3, 9).judged())


def test_crash_oracle_catches_a_tail_that_moves_before_the_home_write() -> None:
    caught(_tail(_two_transactions(), 10, 3).io(HOME, 8, 8).judged(), GIVEN_UP)


class Checkpointed(Disk):
    """What fsync, as the checkpoint, and others do with the block's buffer, a word each."""

    def __init__(self) -> None:
        super().__init__(("superblock", SUPERBLOCK, 1))
        _two_transactions(_tail(self, 4, 1))
        self.bits = {"BH_Lock": False, "BH_Dirty": True}

    def act(self, words: str) -> Checkpointed:
        for word in words.split():
            name, _, who = word.partition("/")
            getattr(self, name)(who or ("fsync" if name in CHECKPOINTS else "writer"))
        return self

    def bit(self, task: str, kind: Kind, bit: str, after: bool | None = None) -> None:
        self.op(task, kind, "bh:1.b_state", self.bits[bit], sub=bit)
        if after is not None:
            self.bits[bit] = after

    def hold(self, task: str) -> None:
        self.op(task, Kind.ACQUIRE, "journal:0.j_list_lock")

    def drop(self, task: str) -> None:
        self.op(task, Kind.RELEASE, "journal:0.j_list_lock")

    def free(self, task: str) -> None:
        """Look at the lock."""
        self.bit(task, Kind.TEST, "BH_Lock")

    def clean(self, task: str) -> None:
        """Look at the dirty bit."""
        self.bit(task, Kind.TEST, "BH_Dirty")

    def leave(self, task: str) -> None:
        self.write(task, "jh:1.b_cp_transaction", None, "transaction:2")

    def lock_(self, task: str) -> None:
        self.bit(task, Kind.TEST_AND_SET, "BH_Lock", True)

    def wash(self, task: str) -> None:
        """Clear the dirty bit."""
        self.bit(task, Kind.TEST_AND_CLEAR, "BH_Dirty", False)

    def soil(self, task: str) -> None:
        self.bit(task, Kind.SET, "BH_Dirty", True)

    def hand(self, task: str) -> None:
        """Hand the lock to an I/O."""
        self.note(task, "hand-over", self.lane("bh:1", "b_state", "BH_Lock"), "bh:1")

    def unlock_(self, task: str) -> None:
        self.bit(task, Kind.CLEAR, "BH_Lock", False)


CHECKPOINTS = ("hold", "drop", "free", "clean", "leave")


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("hold free lock_ wash clean leave drop hand", SLIPPED),
        ("hold free lock_ wash hand clean leave drop", SLIPPED),
        ("free lock_ wash clean leave hand", GIVEN_UP),  # without the list lock
        ("hold drop free lock_ wash clean leave hand", GIVEN_UP),
        ("hold free drop hold lock_ wash clean leave drop hand", GIVEN_UP),  # in two holds of it
        ("hold free lock_ wash clean drop leave hand", GIVEN_UP),
        ("hold lock_ wash clean leave drop hand", GIVEN_UP),  # who does not look at both, and in this order
        ("hold free lock_ wash leave drop hand", GIVEN_UP),
        ("hold lock_ wash clean free leave drop hand", GIVEN_UP),
        ("lock_ hold free wash clean leave drop hand", GIVEN_UP),  # who lets it go though it saw it locked
        ("hold free lock_ clean leave drop wash hand", GIVEN_UP),  # or dirty
        ("hold free wash clean leave drop hand", GIVEN_UP),  # a stranger cleaned it
        ("hold free lock_ wash/other clean leave drop hand", GIVEN_UP),
        ("hold free lock_/fsync wash/fsync clean leave drop hand", GIVEN_UP),  # it did so itself
        ("hold free lock_ wash soil wash/other clean leave drop hand", GIVEN_UP),  # the second change is lost
        ("hold free lock_ wash unlock_ clean leave drop hand", GIVEN_UP),  # it was home, or lost, before
        ("hold free lock_ wash clean leave drop", GIVEN_UP),  # nobody writes it
        ("hold free lock_ wash clean leave drop unlock_ hand", GIVEN_UP),
        ("hold free lock_ wash clean leave drop hand unlock_", GIVEN_UP),  # what was written is lost all the same
        ("hold free/other lock_ wash clean leave drop hand", GIVEN_UP),  # another one's look
        ("hold hold/other free/other lock_ wash clean leave drop hand", GIVEN_UP),
        ("wash/other hold free lock_ wash clean leave drop hand", GIVEN_UP),  # it was clean before
        ("hold free lock_ lock_/other wash/other clean leave drop hand", GIVEN_UP),  # who tried in vain has no lock
    ],
)
def test_crash_oracle_tells_a_writeback_between_two_looks_from_all_else(words: str, rule: str) -> None:
    """R37, and what no checkpoint and no writeback may do."""
    caught(_tail(Checkpointed().act(words), 10, 3).io(HOME, 8, 8).judged(), rule)


def test_crash_oracle_lets_a_hold_of_the_list_lock_void_the_looks_of_its_task_only() -> None:
    words = "hold free lock_ wash hold/other drop/other clean leave drop hand"
    caught(_tail(Checkpointed().act(words), 10, 3).io(HOME, 8, 8).judged(), SLIPPED)


@pytest.mark.parametrize("again", [False, True], ids=["home", "lost in the next transaction"])
def test_crash_oracle_excuses_a_slip_until_it_is_home_and_of_its_own_transaction(again: bool) -> None:
    disk = Checkpointed().act("hold free lock_ wash clean leave drop hand")
    if again:
        disk.change(3, 9).logs(10, 3, 9).commits(12, 3)
        caught(_tail(disk, 13, 4).judged(), GIVEN_UP)
    else:
        passed(_tail(disk.io(HOME, 8, 8), 10, 3).judged())


def test_crash_oracle_catches_a_log_block_that_is_used_again_before_the_tail_moves() -> None:
    disk = _two_transactions()
    caught(disk.io(HOME, 7, 7).change(3, 9).logs(4, 3, 9).judged(), "committed, and lost")


def _synced(disk: Disk, version: int, *words: int) -> Disk:
    disk.note("writer", "write-begin", 1, 0, version).note("writer", "write-end", 1, 0, version)
    disk.note("fsync", "fsync-begin", 1)
    disk.io(DATA, *words).note("fsync", "fsync-end", 1, 0)
    return disk


def test_crash_oracle_passes_on_synced_data() -> None:
    passed(_synced(_synced(Disk(), 7, 7, 7), 8, 8, 8).judged())


def test_crash_oracle_catches_synced_data_that_an_old_copy_in_the_log_overwrites() -> None:
    """As where a block of metadata was freed and not revoked."""
    disk = Disk().logs(4, 1, 6, home=DATA).commits(6, 1)
    caught(_synced(disk, 8, 8, 8).judged(), "promised by fsync, and lost")


def test_crash_oracle_catches_a_late_write_of_old_data() -> None:
    disk = _synced(_synced(Disk(), 7, 7, 7), 8, 8, 8)
    caught(disk.io(DATA, 7, 7).judged(), "promised by fsync, and lost")


def test_crash_oracle_asks_nothing_of_data_whose_write_failed() -> None:
    disk = _synced(Disk(), 7, 7, 7).io(DATA, error=-5).io(DATA, 0, 0)
    passed(disk.judged())
    caught(_synced(disk, 8, 7, 7).judged(), "promised by fsync, and lost")


def test_crash_oracle_does_not_know_of_a_record_without_transactions_and_promises() -> None:
    assert unknown(Disk().io(DATA, 7, 7).judged()) == NOTHING


def test_every_subset_with_a_new_write_is_looked_at_and_of_many_writes_a_sample() -> None:
    writes = [Write(blocknr, 0) for blocknr in range(EXHAUSTIVE_MAX + 1)]
    few = writes[:EXHAUSTIVE_MAX]
    assert len({*subsets(few, None, 0)}) == 64
    assert len({*subsets(few, few[:1], 0)}) == 32
    assert not [*subsets(few, [], 0)]
    many = [*subsets(writes, writes[:1], 0)]
    assert len(many) == 2 + 2 * len(writes) + SAMPLES
    assert many == [*subsets(writes, writes[:1], 0)] != [*subsets(writes, writes[:1], 1)]


def test_what_a_write_flushes_before_comes_to_the_medium_with_it() -> None:
    one, two = Write(1, 0), Write(2, 0)
    flushing = Write(3, 0, after=[one])
    assert {*possible([one, two, flushing], None, 0)} == {
        (), (one,), (two,), (one, two), (one, flushing), (one, two, flushing)
    }  # fmt: skip


def test_crash_oracle_judges_a_record_that_was_read_from_a_file_alike(tmp_path_factory: pytest.TempPathFactory) -> None:
    disk = Disk().change(1, 7).logs(4, 1, 7).io(HOME, 7, 7).commits(6, 1)
    path = tmp_path_factory.mktemp("record") / "run.jsonl"
    record = disk.record()
    record.write(path)
    assert crash.judge(Record.read(path)) == crash.judge(record)
    assert crash.judge(record).findings


# -- planted bugs ----------------------------------------------------------------------------------------------------

METADATA = {"idle": 20, "dirtied": 2, "metadata": 1}
HOME_AT_ONCE = planted.of_model(crash.NAME)
_wait_for_iobuf, _write_commit_record = commit._wait_for_iobuf, commit.journal_write_commit_record
_choose_log_source = journal_._choose_log_source
_log_header = jbd.log_header


def _commits_before_the_copies(journal: Journal, commit_transaction: Transaction) -> int:
    """BUGGY: the commit block goes first."""
    _write_commit_record(journal, commit_transaction)
    return _wait_for_iobuf(journal, commit_transaction)


def _logs_the_live_page(journal: Journal, bh_in: BufferHead, jh_in: JournalHead) -> tuple[Page, int, bool]:
    """BUGGY: the copy that was kept for the log is not used."""
    _, _, escape = _choose_log_source(journal, bh_in, jh_in)
    return *buffer._data_of(bh_in), escape


def _names_the_next_block(blocktype: int, sequence: int, tags: tuple[tuple[int, int], ...] = ()) -> int:
    """BUGGY: the descriptor names another home block."""
    return _log_header(blocktype, sequence, tuple((block + 1, flags) for block, flags in tags))


def _numbers_from_0(blocktype: int, sequence: int, tags: tuple[tuple[int, int], ...] = ()) -> int:
    """BUGGY: the log's first sequence is not that of its first transaction."""
    return _log_header(blocktype, sequence - 1, tags)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bind", "rule"),
    [
        (HOME_AT_ONCE.bind, HOME_AT_ONCE.rule),
        ({"jbd.journal:_choose_log_source": _logs_the_live_page}, "shown before it is committed"),
        ({"jbd.jbd:log_header": _names_the_next_block}, "committed, and lost"),
        ({"jbd.jbd:log_header": _numbers_from_0}, "committed, and lost"),
    ],
    ids=["home before the commit block", "the live page is logged", "a wrong home", "a wrong sequence"],
)
def test_crash_oracle_alone_catches_what_is_planted(bind: dict[str, object], rule: str) -> None:
    found = rules(findings("async-vs-commit", bind, METADATA | {"rounds": 6}))  # type: ignore[arg-type]
    copies = {(durability.NAME, rule) for oracle, rule in found if rule.startswith("log copy")}  # it reads those, too
    assert {oracle for oracle, _ in found.keys() - copies} == {crash.NAME}
    assert found[crash.NAME, rule] >= 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bind", "rule"),
    [
        ({"jbd.journal:journal_update_superblock": lambda journal: None}, "committed, and lost"),
        ({"fs.buffer:write_dirty_buffer": lambda bh, rw=0: buffer_head.clear_buffer_dirty(bh)}, GIVEN_UP),
    ],
    ids=["the tail moves in memory only", "a checkpoint writes nothing"],
)
def test_crash_oracle_catches_a_log_that_is_used_again_too_early(
    bind: dict[str, Callable[..., object]], rule: str
) -> None:
    found = rules(findings("log-fills", bind, {"rounds": 8}, seeds=8))
    untold = (durability.NAME, "tail not told")  # what no crash needs to show
    assert {*found} - {untold} == {(crash.NAME, rule)}
    assert found[crash.NAME, rule] == 8


@pytest.mark.slow
def test_crash_oracle_catches_a_commit_block_that_does_not_wait_for_the_log() -> None:
    bind = {
        "jbd.commit:_wait_for_iobuf": _commits_before_the_copies,
        "jbd.commit:journal_write_commit_record": lambda journal, commit_transaction: None,
    }
    assert rules(findings("async-vs-commit", bind, METADATA, *OFTEN))[crash.NAME, "committed, and lost"] >= 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [{"metadata": 1}, {"data": "writeback", "metadata": 1}, {"data": "journal", "buffers": 1, "metadata": 1}],
    ids=["ordered", "writeback", "journal"],
)
def test_crash_oracle_passes_on_200_schedules_of_the_correct_protocol(params: dict[str, int | str]) -> None:
    seen = 0
    for seed in range(200):
        spec = RunSpec(
            "async-vs-commit",
            tuple(sorted({"idle": 20, **params}.items())),
            engine="fiber",
            strategy=STRATEGIES[seed % len(STRATEGIES)],
            seed=seed,
        )
        program = MAKERS.program(spec)
        with play(program, spec, strategy_for(program, spec)) as played:
            judgement = crash.judge(played.record)
        assert not judgement.findings, (seed, judgement.findings)
        seen += judgement.checked
    assert seen > 5 * 200
