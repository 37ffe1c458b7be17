"""Actors: one kernel path each, driven in a loop.

An actor is ``actor(stage)``: it plays `stage.rounds` rounds on the stage's machine and returns.  What one round does
is a function of its own, so that a recorded workload can drive the same deed at the recorded place and time.
"""
