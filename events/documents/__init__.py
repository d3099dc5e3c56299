"""The documents that are generated from the event types."""
