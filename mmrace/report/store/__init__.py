"""What a store says of its campaigns, as text and as plain data: made from the ledger alone."""
