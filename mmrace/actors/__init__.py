"""Actors: one kernel path each, driven in a loop.

An actor is a function ``actor(stage)``: it plays its rounds on the stage's machine and returns.  One round is a
function of its own, so that a recorded workload can drive the same deed at the recorded place and time.  The file lists
the parameters that it reads (``PARAMS``) and what a scenario casts (``ACTOR``).
"""
