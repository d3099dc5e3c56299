"""What there is to say about each operation, by method and path."""

from collections.abc import Mapping
from typing import Final

from orders.api.documentation_token import LOGGING_OUT
from orders.api.http.documentation.operation import Operation
from orders.api.links.documentation import GUESTS
from orders.api.orders.documentation import FOLLOWING
from orders.api.orders.documentation_listing import LISTING
from orders.api.orders.documentation_ordering import ORDERING

OPERATIONS: Final[Mapping[str, Operation]] = {
    **ORDERING,
    **LISTING,
    **FOLLOWING,
    **GUESTS,
    **LOGGING_OUT,
}
