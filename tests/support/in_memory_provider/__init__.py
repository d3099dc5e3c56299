"""A payment provider in memory, for tests. Its whole implementation is in ``provider``."""
