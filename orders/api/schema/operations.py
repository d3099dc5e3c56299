"""What there is to say about each operation, by method and path."""

from collections.abc import Mapping
from typing import Final

from orders.api.schema.following import FOLLOWING
from orders.api.schema.guests import GUESTS
from orders.api.schema.listing import LISTING
from orders.api.schema.logging_out import LOGGING_OUT
from orders.api.schema.operation import Operation
from orders.api.schema.ordering import ORDERING

OPERATIONS: Final[Mapping[str, Operation]] = {
    **ORDERING,
    **LISTING,
    **FOLLOWING,
    **GUESTS,
    **LOGGING_OUT,
}
