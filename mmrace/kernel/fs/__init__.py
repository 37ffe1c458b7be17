"""File systems: inodes, the buffer layer, the block-device mapping and ext3.

Keeps: one file per file of the kernel's fs/, and the headers `fs`, `buffer_head`.
Does not check: directories, permissions and everything above `generic_file_*`.
"""
