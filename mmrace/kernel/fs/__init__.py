"""File systems: inodes, the buffer layer, the block-device mapping and ext3.

Invariant: one file per file of the kernel's fs/, and the headers `fs`, `buffer_head`.
Not modelled: directories, permissions and everything above `generic_file_*`.
"""
