"""The block device: where bios go, and where completions come from.

Keeps: no page reference is ever taken for an I/O.  Does not check: request merging, plugging, elevators.
"""
