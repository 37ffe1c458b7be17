"""The journal of ext3: transactions, their commit, checkpoint lists, recovery.

Invariant: one file per kernel file, each function where the kernel has it; modules are imported, never names, so that a
variant can rebind any function.
Not modelled: revoke records, writing checkpoints back.
"""
