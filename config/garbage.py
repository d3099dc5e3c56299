"""Python's collector of cycles, in processes that run for long and whose work leaves few of them."""

import gc
from typing import Final

ALLOCATIONS_BETWEEN_LOOKS: Final = 20_000
"""Thirty times Python's own. An order makes some thousands of objects, and hardly a cycle."""


def settle_in() -> None:
    """Take all that start-up made for permanent, and look for garbage less often from now on.

    To be called once, when a process is ready for work.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_BETWEEN_LOOKS, 20, 50)
