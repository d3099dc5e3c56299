"""What stands in for the outside world on a laptop: PostgreSQL, Valkey, Stripe, the supervised run."""
