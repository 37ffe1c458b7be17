"""The pool: processes that make runs, what travels to and from them, and the one loop over them (`drive.py`)."""
