"""The outbox: events, recorded in the transaction that made them true."""
