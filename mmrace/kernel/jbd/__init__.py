"""The journal of ext3: transactions, their commit, checkpoints, revoke records, recovery.

Invariant: one file per kernel file, each function where the kernel has it; modules are imported, never names, so that a
variant can rebind any function.
Not modelled: barriers of handles (journal_lock_updates).
"""
