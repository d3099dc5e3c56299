"""Currencies and amounts as people read them. Every other package may import this one."""
