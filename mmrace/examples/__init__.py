"""Programs of one's own, each with its bug and its mended twin: ``mmrace explore mmrace/examples/lost_update.py:main``."""
