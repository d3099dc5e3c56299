"""The clock of orders and runs: PostgreSQL's, which a sandbox and tests may move.

Every other package may import this one, and every app's migrations may depend on its own.
"""
