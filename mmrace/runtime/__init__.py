"""Runtime: points, tasks, engines, locks and wait queues, record.

``from mmrace import runtime as rt`` is all that the kernel model needs.  Each primitive is written once, on the
contract of an engine (`contract.py`).  The engines are in `gate.py`, `fiber.py` and `free.py`; `live.py` says which
one runs.

What there is for a program, by topic; before a colon stands what a `Struct` declares, after it what is called on that:

* State: `Struct` with `shared` (fields), `words` (words of data), `ghost` (not shared); `peek`: look without an op.
  `PerCpu`; `fresh`: a name for an object.  `poison`, `revive`: free one, and use it again.
* Bits: `flag_word`: `set_bit`, `clear_bit`, `test_bit`, `test_and_set_bit`, `test_and_clear_bit`.
* Locks: `mutex`: `mutex_lock`, `mutex_trylock`, `mutex_unlock`.  `spinlock`, `irq_spinlock`: `spin_lock`,
  `spin_trylock`, `spin_unlock`, `spin_lock_irq`, `spin_unlock_irq`, `spin_lock_irqsave`, `spin_unlock_irqrestore`.
* Locks in a bit of a `flag_word`: sleeping ones `bit_lock`, `bit_trylock`, `bit_unlock` (or `clear_bit_unlock`, then
  `wake_up_bit`), `wait_on_bit`, `hand_over`; spinning ones `bit_spin_lock`, `bit_spin_trylock`, `bit_spin_unlock`.
* Waiting: `wait_queue`: `wait_event`, `wake_up` (every sleeper, but of the exclusive ones only `exclusive=1`),
  `wake_up_all`, or `prepare_to_wait` (`exclusive=True`: to be such a one), `sleep_on`, `finish_wait`.
  `Completion`.  `until_changed`: retry when something changed.
* Statistics: `atomic`: methods `add`, `read`.
* Reference counts: `refcount`: methods `get`, `put`, `get_unless_zero`, `freeze`, `unfreeze`, ... (`refcount.py`).
* Tasks: `spawn`, `join`, `join_others`, `current`; `schedule`, `cond_resched`: let others run; `sleep`: for so many
  ticks; `choose`: a value that the strategy draws; `fixed_order`: nothing is explored inside.
* Context: `preempt_disable`, `preempt_enable`; `local_irq_disable`, `local_irq_enable`; `irq_enter`, `irq_exit`;
  `rcu_read_lock`, `rcu_read_unlock`; `might_sleep`.
* For judges and reports: `bug_on`, `note`, `reached`; op codes and `dependent`.  For tests: `pool_size`.
"""

from mmrace.runtime.atomic import Atomic, atomic
from mmrace.runtime.bit_locks import (
    bit_lock,
    bit_trylock,
    bit_unlock,
    clear_bit_unlock,
    hand_over,
    wait_on_bit,
    wake_up_bit,
)
from mmrace.runtime.bit_spinlocks import bit_spin_lock, bit_spin_trylock, bit_spin_unlock
from mmrace.runtime.context import (
    irq_enter,
    irq_exit,
    local_irq_disable,
    local_irq_enable,
    might_sleep,
    preempt_disable,
    preempt_enable,
    rcu_read_lock,
    rcu_read_unlock,
)
from mmrace.runtime.errors import (
    Abort,
    InternalError,
    MmraceError,
    NondeterminismError,
    UsageError,
    Violation,
)
from mmrace.runtime.fields import Field, ghost, shared
from mmrace.runtime.flags import (
    FlagWord,
    clear_bit,
    flag_word,
    set_bit,
    test_and_clear_bit,
    test_and_set_bit,
    test_bit,
)
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind, dependent
from mmrace.runtime.locks import (
    Mutex,
    SpinLock,
    irq_spinlock,
    mutex,
    mutex_lock,
    mutex_trylock,
    mutex_unlock,
    spin_lock,
    spin_lock_irq,
    spin_lock_irqsave,
    spin_trylock,
    spin_unlock,
    spin_unlock_irq,
    spin_unlock_irqrestore,
    spinlock,
)
from mmrace.runtime.percpu import PerCpu
from mmrace.runtime.poison import poison, revive
from mmrace.runtime.pool import pool_size
from mmrace.runtime.refcount import Refcount, refcount
from mmrace.runtime.retry import until_changed
from mmrace.runtime.struct import Struct, fresh, peek
from mmrace.runtime.task import Cpu, Task
from mmrace.runtime.task_ops import (
    Completion,
    bug_on,
    choose,
    cond_resched,
    current,
    fixed_order,
    join,
    join_others,
    note,
    reached,
    schedule,
    sleep,
    spawn,
)
from mmrace.runtime.wait import (
    WaitQueue,
    finish_wait,
    prepare_to_wait,
    sleep_on,
    wait_event,
    wait_queue,
    wake_up,
    wake_up_all,
)
from mmrace.runtime.words import Words, words

__all__ = [
    "KIND_MASK",
    "NOTE",
    "SHIFT",
    "Abort",
    "Atomic",
    "Completion",
    "Cpu",
    "Field",
    "FlagWord",
    "InternalError",
    "Kind",
    "MmraceError",
    "Mutex",
    "NondeterminismError",
    "PerCpu",
    "Refcount",
    "SpinLock",
    "Struct",
    "Task",
    "UsageError",
    "Violation",
    "WaitQueue",
    "Words",
    "atomic",
    "bit_lock",
    "bit_spin_lock",
    "bit_spin_trylock",
    "bit_spin_unlock",
    "bit_trylock",
    "bit_unlock",
    "bug_on",
    "choose",
    "clear_bit",
    "clear_bit_unlock",
    "cond_resched",
    "current",
    "dependent",
    "finish_wait",
    "fixed_order",
    "flag_word",
    "fresh",
    "ghost",
    "hand_over",
    "irq_enter",
    "irq_exit",
    "irq_spinlock",
    "join",
    "join_others",
    "local_irq_disable",
    "local_irq_enable",
    "might_sleep",
    "mutex",
    "mutex_lock",
    "mutex_trylock",
    "mutex_unlock",
    "note",
    "peek",
    "poison",
    "pool_size",
    "preempt_disable",
    "preempt_enable",
    "prepare_to_wait",
    "rcu_read_lock",
    "rcu_read_unlock",
    "reached",
    "refcount",
    "revive",
    "schedule",
    "set_bit",
    "shared",
    "sleep",
    "sleep_on",
    "spawn",
    "spin_lock",
    "spin_lock_irq",
    "spin_lock_irqsave",
    "spin_trylock",
    "spin_unlock",
    "spin_unlock_irq",
    "spin_unlock_irqrestore",
    "spinlock",
    "test_and_clear_bit",
    "test_and_set_bit",
    "test_bit",
    "until_changed",
    "wait_event",
    "wait_on_bit",
    "wait_queue",
    "wake_up",
    "wake_up_all",
    "wake_up_bit",
    "words",
]
