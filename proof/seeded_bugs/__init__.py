"""Bugs that are put into the code on purpose, to check that the proofs find them.

A proof patches a bug into its own processes. Production code neither runs nor knows the bugs.
"""
