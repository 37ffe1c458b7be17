"""The ledger of a store: which runs were made, and what came of them, for good (`README.md` has the file format)."""
