"""Search: many runs.  `pool/` has them made in worker processes; `campaign/` and `explore/` say which, and sum up."""
