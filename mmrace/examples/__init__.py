"""Programs of one's own, each with its bug and its mended twin; the first lines of each say how to explore it.

`README.md` beside them makes lessons of five.
"""
