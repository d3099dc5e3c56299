"""Statements over sets of rows. Every other package may import this one."""
