"""Oracles: judges of the record and of the final state, one file each.

`general/` judges any program; `protocol/` judges the kernel model, and has what its names mean.  A judge is a pure
function of a record, live or read from a file, whatever else the process has imported.  Invariant: the general half
imports nothing of the other, nor of any program.
"""
