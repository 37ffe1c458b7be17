"""The protocol under test: a model of Linux v3.3 laid out as the kernel tree is.

Invariant: function names, order of steps and locks are the kernel's; all shared state is touched through
`mmrace.runtime`.  A file has its kernel file's name and holds that file's functions:

* A header that has structs or flag bits is a file here too (`mm/mm_types`, `mm/page_flags`, `fs/fs`, `jbd/jbd`, ...).
  Files of functions call each other in circles, as the kernel's do; a header is in no circle.
* The inlines of a header that serves one .c file are in that file: those of pagemap.h in `mm/filemap`.
* Without a kernel file of that name: `fs/buffer_page` and `jbd/transaction_page` (halves of fs/buffer.c and of
  fs/jbd/transaction.c), `block/device` (the model's disk) and `block/ownership` (whose a lock is during I/O).
* A function that the kernel does not have begins with an underscore, but for what sets a machine up, what stands for a
  macro or a loop (`buffer.ring`), and the device.  "Simplified" in its text says what a function leaves out, "not
  called yet" what it waits for.

Modules import modules, never names, so that a variant can rebind any function or factory here for a run.  Not checked:
anything beyond the kernel's own BUG_ON conditions; oracles judge the record from outside.
"""
