"""Judges of any program: they know ops, locks and counts, and no name of the kernel's."""
