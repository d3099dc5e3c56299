"""Payments and refunds: the money protocol, and the only package that calls payment providers."""
