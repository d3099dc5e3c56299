"""Bugs put into the code on purpose, to see that the proofs find them.

Nothing of this runs in production, and no code of ours asks whether a bug is on: it is patched into
a process by whoever wants to watch it fail.
"""
