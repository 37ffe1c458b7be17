"""What the mail of 2011 claims of the protocol, each claim with its programs, its judge and its evidence."""
