"""The relay: publishes the outbox to the transports that the shop has chosen, in order, at least once."""
