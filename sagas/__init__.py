"""The saga engine: durable steps, their compensations, and the sweep that finds what was dropped.

It knows no order and no payment, and imports no other app.
"""
