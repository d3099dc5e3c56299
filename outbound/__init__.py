"""Calls to outside services: deadline, connections, transaction guard, rate limit, metrics, spans."""
