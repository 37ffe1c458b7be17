"""The page of a night, and its summary for a terminal: made from a store alone, for whoever comes in the morning."""
