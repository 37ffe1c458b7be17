"""Runs: one run, whole: what to run, under which strategy, playing it, judging it, replaying it, keeping its record."""
