"""Memory management: pages, allocator, page cache, LRU, reclaim, writeback and migration.

Keeps: one file per file of the kernel's mm/ (plus the headers `page`, `mmzone`); no mutable module globals.
Does not check: mapped pages, anonymous memory, swap, memcg, KSM and huge pages, which this cast does not have.
"""
