"""Judges of the kernel model: they know its pages, buffers and journal by name, from the record alone."""
