"""Memory management: pages, allocator, page cache, LRU, reclaim, writeback and migration.

Keeps: one file per file of the kernel's mm/, and the headers `mm`, `mm_types`, `page_flags`, `mmzone`, `highmem`; no
mutable module globals.
Does not check: mapped pages, anonymous memory, swap, memcg, KSM and huge pages, which this cast does not have.
"""
