"""Placing, listing, reading, following and cancelling orders."""
