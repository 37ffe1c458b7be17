"""The block device: where bios go, and where completions come from.

Invariant: no page reference is ever taken for an I/O.
Not modelled: request merging, plugging, elevators.
"""
