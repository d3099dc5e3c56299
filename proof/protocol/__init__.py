"""A model of the protocol between orders, workers, messages and the payment provider.

It is small enough to search completely, and imports nothing of the application. ``tables`` repeats
what the model assumes about the code; tests compare the two.
"""
