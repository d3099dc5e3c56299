"""Chaos with real processes: load, a nemesis, and three ledgers that must agree in the end."""
