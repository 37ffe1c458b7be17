"""The protocol under test: a model of Linux v3.3 laid out as the kernel tree is.

Keeps: function names, order of steps and locks of the kernel; all shared state is touched through `mmrace.runtime`.
Modules import modules, never names, so that a variant can rebind any function or factory here for a run.
Does not check: anything beyond the kernel's own BUG_ON conditions; oracles judge the record from outside.
"""
