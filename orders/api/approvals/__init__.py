"""Approvals of orders: read and wait for a decision, decide, and decide by a link."""
