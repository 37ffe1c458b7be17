"""What records tell beyond their events: why a run failed, one object's life, where two runs part.  Facts, no text."""
