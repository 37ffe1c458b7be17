"""The process `mmrace`, installed or as ``python -m mmrace``.

Invariant: Ctrl-C has no traceback from here on: it ends the process without a word until `mmrace.cli` is there and
takes it, and again when that is done.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from mmrace.cli import main

if __name__ == "__main__":
    main()
