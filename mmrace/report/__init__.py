"""Report: text made from records and results only.  Only the command line and the pytest plugin call it."""
