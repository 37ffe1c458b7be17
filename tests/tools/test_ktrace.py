"""The reader of ftrace logs: lines to events, events to actions.

Checks each trap of such logs on a small input built in the test.  Whole conversions are checked in
``test_ktrace_workload.py``.
"""

from __future__ import annotations

import pytest

from tools.ktrace import Event, TraceError, parse_line, read_lines
from tools.ktrace_pages import Action
from tools.ktrace_stories import Stories, tell

A, B = 0xFFD4000000001000, 0xFFD4000000002000
PFN_A, PFN_B = 0x40, 0x80
SITE = "(some_function+0x5/0x150)"


def _event(text: str, line: int = 1) -> Event:
    event = parse_line(text, line)
    assert event is not None
    return event


class Log:
    """Builds log lines in file order; time advances by 10 us a line unless told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 1_000_000

    def add(self, task: str, name: str, rest: str, *, step: int = 10, cpu: int = 0) -> None:
        self.now += step
        stamp = f"{self.now // 1_000_000}.{self.now % 1_000_000:06d}"
        self.lines.append(f"   {task}     [00{cpu}] ..Zff    {stamp}: {name}: {rest}")

    def enter(self, pfn: int, ino: int, index: int) -> None:
        self.add(
            "L-x-7", "mm_filemap_add_to_page_cache", f"dev 254:0 ino {ino:x} pfn={pfn:#x} ofs={index << 12} order=0"
        )

    def leave(self, pfn: int, ino: int, index: int, task: str = "L-drop-9") -> None:
        self.add(
            task, "mm_filemap_delete_from_page_cache", f"dev 254:0 ino {ino:x} pfn={pfn:#x} ofs={index << 12} order=0"
        )

    def dirty(self, folio: int, *bhs: int, state: int = 0x11, task: str = "L-w-5") -> None:
        for bh in bhs:
            self.add(task, "b_dirty", f"{SITE} bh={bh:#x} state={state:#x} folio={folio:#x}")
        self.add(task, "f_unlock", f"{SITE} folio={folio:#x} flags=0x1")

    def writeback(
        self, folio: int, ino: int, index: int, *, head: int = 0, task: str = "L-w-5", step: int = 10
    ) -> None:
        self.add(task, "f_start_wb", f"{SITE} folio={folio:#x} keep=0 ino={ino} index={index} priv={head:#x}")
        self.add("<idle>-0", "f_end_wb", f"{SITE} folio={folio:#x}", step=step)

    def migrate(self, name: str, rest: str) -> None:
        self.add("L-compact-3", name, f"{SITE} {rest}")

    def begin_try(self, src: int, dst: int, mode: int = 2) -> None:
        self.migrate("m_src_try", f"src={src:#x} dst={dst:#x} mode={mode} pass=0 flags=0x0 refs=3")

    def move(
        self,
        src: int,
        dst: int,
        ino: int,
        index: int,
        ret: int,
        refs: int = 3,
        bhs: tuple[int, ...] = (),
        replace: bool = True,
    ) -> None:
        self.migrate("m_move", f"dst={dst:#x} src={src:#x} mode=2 flags=0x1 ino={ino} index={index} priv=0x0")
        self.migrate("m_bmf", f"mapping=0x1 dst={dst:#x} src={src:#x} mode=2")
        self.migrate("m_bh_refs", f"src={src:#x} dst={dst:#x} refs={refs} want=3 head=0x1")
        for bh in bhs:
            self.migrate("m_bh_lock_ok", f"bh={bh:#x} state=0x1 count=0 block=1")
        if replace:
            self.migrate("m_replace", f"mapping=0x1 dst={dst:#x} src={src:#x} extra=0 refs=3")
        self.migrate("m_move_ret", f"ret={ret} src={src:#x} dst={dst:#x}")

    def tell(self) -> Stories:
        return tell(read_lines(self.lines).events)

    def only(self, do: str) -> list[Action]:
        return [action for action in self.tell().actions if action.do == do]


# the parser


@pytest.mark.parametrize(
    ("task", "pid"),
    [
        ("L-rewrite", 149),
        ("kworker/u4:1", 25),
        ("jbd2/vda-8", 126),
        ("my task - 1", 12),
        ("<idle>", 0),
        ("name [x]", 7),
    ],
)
def test_task_names(task: str, pid: int) -> None:
    event = _event(f"   {task}-{pid}     [001] ..Zff    23.722834: f_end_wb: {SITE} folio=0xa")
    assert (event.task, event.pid, event.cpu, event.t_us) == (task, pid, 1, 23_722_834)


@pytest.mark.parametrize("flags", ["..Zff ", "d.Z.. ", ".NZff ", "dNh1. ", "d..2. ", ""])
def test_flags_column_says_nothing(flags: str) -> None:
    plain = _event(f" t-1 [000] ..... 1.000002: b_tryfree_ret: {SITE} ret=1")
    assert _event(f" t-1 [000] {flags}1.000002: b_tryfree_ret: {SITE} ret=1") == plain


def test_tgid_column_and_nanoseconds() -> None:
    event = _event(" t-1 (  12) [000] ..... 1.000002999: jbd2_end_commit: dev 254,0 transaction 42 sync 0")
    assert (event.t_us, event.args["dev"], event.args["transaction"]) == (1_000_002, "254,0", "42")


def test_probe_site_is_no_argument() -> None:
    event = _event(
        " t-1 [000] ..... 1.000000: j_commit: (jbd2_journal_commit_transaction+0x5/0x1a50 [jbd2]) journal=0xff"
    )
    assert event.args == {"journal": "0xff"}


def test_filemap_numbers_are_hexadecimal() -> None:
    event = _event(
        " t-1 [000] d..2. 1.000000: mm_filemap_add_to_page_cache: dev 254:0 ino 21 pfn=0xd1e6 ofs=4096 order=0"
    )
    assert (event.hexnum("ino"), event.num("pfn"), event.num("ofs")) == (0x21, 0xD1E6, 4096)


def test_missing_argument_says_where() -> None:
    with pytest.raises(TraceError, match=r"line 3: j_commit: expected a number.*'folio'.*no such argument"):
        _event(f" t-1 [000] ..... 1.000000: j_commit: {SITE} journal=0x1", 3).num("folio")


def test_headers_and_blank_lines_are_no_events() -> None:
    trace = read_lines(["# tracer: nop", "#", "", "#   TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"])
    assert (trace.events, trace.bad, trace.lines) == ([], [], 4)


def test_garbled_and_lost_lines_are_counted() -> None:
    good = f" t-1 [000] ..... 1.000000: f_end_wb: {SITE} folio=0xa"
    lines = ["# header", good, "CPU:1 [LOST 23 EVENTS]", good, good[:20]]
    with pytest.raises(TraceError, match=r"line 3: events were lost.*skipped 2 of 5 lines, allowed 0"):
        read_lines(lines)
    trace = read_lines(lines, max_bad=2)
    assert [bad.line for bad in trace.bad] == [3, 5]
    assert [event.line for event in trace.events] == [2, 4]


def test_same_microsecond_keeps_file_order() -> None:
    lines = [f" t-{pid} [00{pid % 2}] ..... 1.000000: f_end_wb: {SITE} folio=0xa" for pid in (5, 4, 3)]
    assert [event.pid for event in read_lines(lines).events] == [5, 4, 3]


# the stories


def test_address_reused_after_free() -> None:
    log = Log()
    log.enter(PFN_A, 12, 7)
    log.dirty(A, 1)
    log.leave(PFN_A, 12, 7)
    log.enter(PFN_A, 13, 8)
    log.dirty(A, 1)
    assert [action.keys() for action in log.only("dirty")] == [[(12, 7)], [(13, 8)]]


def test_page_older_than_the_log_is_known_by_a_later_event() -> None:
    log = Log()
    log.dirty(A, 1)
    log.writeback(A, 12, 7)
    assert log.only("dirty")[0].keys() == [(12, 7)]


def test_migration_keeps_the_logical_page() -> None:
    log = Log()
    log.enter(PFN_A, 12, 7)
    log.begin_try(A, B)
    log.move(A, B, 12, 7, 0)
    log.dirty(B, 1)
    log.dirty(A, 2)
    stories = log.tell()
    assert [(action.do, action.keys()) for action in stories.actions] == [("migrate", [(12, 7)]), ("dirty", [(12, 7)])]
    assert stories.dropped["dirty of an unidentified page"] == 1


def test_batch_keeps_several_tries_open_and_tries_again() -> None:
    log = Log()
    log.begin_try(A, A + 64, mode=0)
    log.begin_try(B, B + 64, mode=0)
    log.move(A, A + 64, 12, 1, 0)
    log.move(B, B + 64, 12, 2, -11, refs=4, replace=False)
    log.move(B, B + 64, 12, 2, -11)
    log.begin_try(B, B + 64, mode=2)
    log.move(B, B + 64, 12, 2, 0)
    tries = [(a.keys()[0][1], a.mode, a.outcome, a.reason) for a in log.only("migrate")]
    assert tries == [
        (1, "MIGRATE_ASYNC", "moved", ""),
        (2, "MIGRATE_ASYNC", "refused", "refcount"),
        (2, "MIGRATE_SYNC", "refused", "freeze"),
        (2, "MIGRATE_SYNC", "moved", ""),
    ]
    first, second = log.only("migrate")[:2]
    assert second.begin_us < first.end_us, "both tries of the batch are open at once"


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (["m_src_locked", "m_src_wb_seen", "m_src_bail"], "writeback"),
        (["m_src_locked", "m_src_wb_seen", "m_src_wb_ebusy", "m_undo_src"], "writeback"),
        (["m_src_trylock_fail", "m_undo_src"], "page-lock"),
        (["m_src_trylock_fail"], "page-lock"),
        (["m_src_locked", "m_undo_src"], "other"),
    ],
)
def test_refusals_before_the_move(steps: list[str], reason: str) -> None:
    log = Log()
    log.enter(PFN_A, 12, 7)
    log.begin_try(A, B)
    for step in steps:
        log.migrate(step, f"src={A:#x} mode=2 pass=0 flags=0x0")
    log.begin_try(B, A)
    assert [(a.outcome, a.reason) for a in log.only("migrate")] == [("refused", reason)]


def test_metadata_pages_are_left_out() -> None:
    log = Log()
    log.dirty(A, 1)
    log.writeback(A, 254 << 20, 7)
    log.enter(PFN_B, 12, 7)
    stories = log.tell()
    assert stories.actions == []
    assert stories.dropped == {"dirty of metadata": 1, "writeback of metadata": 1}


def test_end_of_writeback_is_on_the_interrupted_task() -> None:
    log = Log()
    log.writeback(A, 12, 7, task="L-sync-4", step=300)
    action = log.only("writeback")[0]
    assert (action.task, action.end_us - action.begin_us) == ("L-sync-4", 300)


def test_incomplete_head_and_tail_are_dropped_not_guessed() -> None:
    log = Log()
    log.add("jbd2/vda-8-126", "jbd2_end_commit", "dev 254,0 transaction 41 sync 0 head 28")
    log.add("<idle>-0", "f_end_wb", f"{SITE} folio={A:#x}")
    log.enter(PFN_A, 12, 7)
    log.begin_try(A, B)
    log.add("jbd2/vda-8-126", "j_commit", f"{SITE} journal=0x1")
    stories = log.tell()
    assert stories.actions == []
    assert stories.dropped == {
        "commit that began before the log": 1,
        "writeback that began before the log": 1,
        "migrate still open at the end of the log": 1,
        "commit still open at the end of the log": 1,
    }


def test_dirty_bursts_end_with_the_unlock_and_number_buffers() -> None:
    log = Log()
    log.enter(PFN_A, 12, 7)
    log.dirty(A, 0x30)
    log.dirty(A, 0x10, 0x20, task="L-v-6")
    log.writeback(A, 12, 7, head=0x20)
    assert [(a.task, a.buffers()) for a in log.only("dirty")] == [("L-w-5", [1]), ("L-v-6", [0, 2])]


def test_tasks_of_one_name_are_two() -> None:
    log = Log()
    log.enter(PFN_A, 12, 7)
    log.add("L-w-5", "b_dirty", f"{SITE} bh=0x1 state=0x11 folio={A:#x}")
    log.dirty(A, 0x2, task="L-w-6")
    assert [a.task for a in log.only("dirty")] == ["L-w-5", "L-w-6"]


def test_a_migration_gives_the_buffer_order() -> None:
    log = Log()
    log.enter(PFN_A, 12, 7)
    log.dirty(A, 0x30)
    log.begin_try(A, B)
    log.move(A, B, 12, 7, 0, bhs=(0x10, 0x20, 0x30, 0x40))
    assert log.only("dirty")[0].buffers() == [2]


def test_reclaim_outcomes() -> None:
    log = Log()
    log.enter(PFN_A, 12, 7)
    for ret in (0, 1):
        log.add("L-drop-9", "j_tryfree", f"{SITE} folio={A:#x}")
        log.add("L-drop-9", "b_tryfree", f"{SITE} folio={A:#x}")
        log.add("L-other-8", "b_tryfree_ret", f"{SITE} ret=1")
        log.add("L-drop-9", "b_tryfree_ret", f"{SITE} ret={ret}")
        if not ret:
            log.add("L-drop-9", "f_unlock", f"{SITE} folio={A:#x} flags=0x1")
    log.leave(PFN_A, 12, 7)
    assert [action.outcome for action in log.only("reclaim")] == ["kept", "freed"]


def test_pages_of_a_commit_seen_and_inferred() -> None:
    log = Log()
    log.enter(PFN_A, 12, 7)
    log.enter(PFN_B, 12, 8)
    log.dirty(A, 1, state=0x131)
    log.writeback(A, 12, 7)
    log.add("jbd2/vda-8-126", "j_commit", f"{SITE} journal=0x1")
    log.add("jbd2/vda-8-126", "jbd2_start_commit", "dev 254,0 transaction 42 sync 0")
    log.add("jbd2/vda-8-126", "jbd2_commit_flushing", "dev 254,0 transaction 42 sync 0")
    log.add("jbd2/vda-8-126", "f_wait_wb", f"{SITE} folio={B:#x} flags=0x1")
    log.dirty(B, 2, state=0x131)
    log.writeback(B, 12, 8)
    log.add("jbd2/vda-8-126", "jbd2_end_commit", "dev 254,0 transaction 42 sync 0 head 28")
    commit = log.only("commit")[0]
    assert commit.keys(inferred=False) == [(12, 8)]
    assert [stay.key for stay in commit.inferred] == [(12, 7)]
