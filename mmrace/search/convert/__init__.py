"""From a finding of free threads to a record of it under control."""
