"""Chaos with real processes: load, a nemesis that breaks them, and three ledgers that must agree."""
