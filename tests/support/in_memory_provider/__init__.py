"""A payment provider in memory, for tests; its whole implementation is in ``provider``."""
