"""Sending signals to the run of an order."""
