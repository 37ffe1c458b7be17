"""Memory management: pages, allocator, page cache, LRU, reclaim, writeback and migration.

Invariant: one file per file of the kernel's mm/, and the headers `mm`, `mm_types`, `page_flags`, `mmzone`, `highmem`;
no mutable module globals.
Not modelled: mapped pages, anonymous memory, swap, memcg, KSM and huge pages, none of which this cast has.
"""
