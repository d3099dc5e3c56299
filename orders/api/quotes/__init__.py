"""Prices and availability of a cart before it is ordered."""
