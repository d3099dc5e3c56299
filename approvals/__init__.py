"""Approvals: decisions about an order that a person or a program takes once, and that a saga waits for."""
