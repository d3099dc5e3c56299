"""Payments and refunds: the money protocol, and the only package that talks to the bank."""
