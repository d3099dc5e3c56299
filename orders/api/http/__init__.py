"""What the endpoints share: problems, idempotency, pagination, ETags, limits, documentation."""
