"""Paying an order by another method."""
