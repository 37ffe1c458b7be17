"""Strategies: who goes next, one small file each behind one decision interface (`contract.py`).

A new one needs nothing but its own file, in this folder or given to `--load`; `registry.py` finds it.  `order/` says
which ops depend on each other, what follows from that (a partial order), and which runs are of one class.  Imports
`runtime` alone: a strategy sees pending ops and tasks, never what they mean to a program.
"""
