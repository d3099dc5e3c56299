"""The API tokens of a run."""

from typing import NamedTuple


class Tokens(NamedTuple):
    """The token of the customer of all orders, and one with the scope of the shop."""

    customer: str
    shop: str
