"""The protocol between orders, workers, messages and the bank, as a model small enough to search.

Imports nothing of the application: ``tables`` repeats what it takes for granted, and tests compare
that with the code.
"""
