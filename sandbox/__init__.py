"""Replaces the outside world on one machine: PostgreSQL, Valkey, Stripe, other services, a supervisor."""
