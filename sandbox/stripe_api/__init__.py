"""A sandbox of Stripe's API with a durable ledger, which says what was charged."""
