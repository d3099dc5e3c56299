"""A durable stand-in for Stripe's API on this machine: the ground truth of who was charged."""
