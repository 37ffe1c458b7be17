"""Strategies: who goes next, one small file each behind one decision interface (`contract.py`).

`known.py` finds them by name; a user's own is registered there.
"""
