"""Order: which ops depend on each other, the partial order of a run, and its class of interleavings."""
