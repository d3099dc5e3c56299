"""A model of the protocol between orders, workers, messages and the payment provider.

It is small enough to search completely, and knows of the application only the definitions of its sagas:
``derived_sagas`` derives the steps from them. ``tables`` repeats the statuses; tests compare them with
the code.
"""
