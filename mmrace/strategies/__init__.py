"""Strategies: who goes next, one small file each behind one decision interface (`contract.py`).

`registry.py` finds them by name; a user's own is registered there.  `order/` says which ops depend on each other, what
follows from that (a partial order), and which runs are one class.  Imports `runtime` alone: a strategy sees pending ops
and never what they mean to a program.
"""
