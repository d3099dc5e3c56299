"""Bodies as JSON that means one thing only, and nothing that we do not know."""

import json
import re
import sys
from collections.abc import Mapping
from typing import IO, Annotated, Any, Final, NoReturn, TypeVar

from django.http import UnreadablePostError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from access.accounts import USERNAME
from access.links import DEFAULT_DAYS, MOST_DAYS
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem, malformed, torn
from orders.api.http.query_params import FORMS
from orders.errors import TotalTooLarge, UnknownProducts
from orders.models import REFERENCE

MAX_LINES: Final = 100
MAX_LINE_QUANTITY: Final = 9_999
LARGEST_INTEGER: Final = 2**53 - 1
"""What every reader of JSON has a number for (RFC 7493)."""

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class StrictJSONParser(BaseParser):
    """JSON in UTF-8 that every reader understands alike, as RFC 7493 asks for.

    No NaN, no key twice in one object, no half of a surrogate pair. How long it may be was seen to
    when the request came in.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - REST framework's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        try:
            text = stream.read().decode()
            found = json.loads(text, parse_constant=_refuse, object_pairs_hook=_without_repeats)
            if _SURROGATE.search(text):  # in a pair, or not
                json.dumps(found, ensure_ascii=False).encode()
        except UnreadablePostError as error:
            raise torn(error.__cause__) from None
        except UnicodeEncodeError:
            raise malformed("A text has half of a surrogate pair.") from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise malformed("The body is not JSON in UTF-8.") from None
        except RecursionError:
            raise malformed("Lists and objects are nested too deeply to be read.") from None
        except ValueError:  # what int() says of more digits than it takes
            most = sys.get_int_max_str_digits()
            raise malformed(f"A whole number has more than {most:,} digits.") from None
        return found


def _refuse(constant: str) -> NoReturn:
    raise malformed(f"{constant} is not JSON.")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise malformed("An object has the same key twice.")
    return found


class Body(BaseModel):
    """A request's body: types as they are, and no field beyond those declared."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CartLine(Body):
    sku: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    quantity: Annotated[int, Field(ge=1, le=MAX_LINE_QUANTITY)]


class Cart(Body):
    """What somebody wants to buy. Prices are ours, so it names none."""

    items: Annotated[list[CartLine], Field(min_length=1, max_length=MAX_LINES)]

    def quantities(self) -> dict[str, int]:
        """How many of each SKU, in the order of first mention; one named twice is summed."""
        totals: dict[str, int] = {}
        for line in self.items:
            totals[line.sku] = totals.get(line.sku, 0) + line.quantity
        return totals


class NewOrder(Cart):
    """What a storefront sends to buy."""

    payment_method: Annotated[str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,252}$")]
    # Whom the shop's server buys for, by the shop's own name of the customer.
    customer: Annotated[str, StringConstraints(pattern=USERNAME)] | None = None
    # The storefront's own name for the order, good for one order of the customer for ever.
    reference: Annotated[str, StringConstraints(pattern=REFERENCE)] | None = None
    # What the customer was told that it costs: it costs that, or nothing is ordered.
    expected_total_minor: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] | None = None
    expected_currency: Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")] | None = None


class NewLink(Body):
    """What a guest's link is to be good for."""

    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = DEFAULT_DAYS
    may_cancel: bool = True


class Nothing(Body):
    """A body without any field."""


B = TypeVar("B", bound=Body)


def parse_body(kind: type[B], request: Request) -> B:
    """Make a body of what was sent; of nothing, as of an object without fields.

    Raises a Problem that points at every field that is wrong.
    """
    is_empty = request.META.get("CONTENT_LENGTH", "") in ("", "0")
    try:
        return kind.model_validate({} if is_empty else request.data)
    except ValidationError as error:
        errors = [FieldError(_pointer(each["loc"]), _in_words(each)) for each in error.errors()]
        raise invalid("The body is not what this endpoint takes.", errors) from None


def invalid(detail: str, errors: list[FieldError]) -> Problem:
    return Problem(ProblemType.INVALID_REQUEST, detail, errors)


def not_sold(cart: Cart, error: UnknownProducts | TotalTooLarge) -> Problem:
    """Point at what of a cart cannot be bought."""
    if isinstance(error, TotalTooLarge):
        return invalid(str(error), [FieldError("/items", "costs too much")])
    errors = [
        FieldError(f"/items/{position}/sku", f"{line.sku} is not for sale")
        for position, line in enumerate(cart.items)
        if line.sku in error.skus
    ]
    return invalid("The cart has products that are not for sale.", errors)


_FORMS: Final = {
    **FORMS,
    "sku": "a SKU has letters, digits and ._-, 64 at most",
    "payment_method": "an id of a payment method of Stripe's, such as pm_card_visa",
    "expected_currency": "three lower-case letters, such as eur",
}
_KINDS: Final = {
    "model_type": "An object is expected here",
    "extra_forbidden": "This field is not known here",
    "missing": "This field is missing",
    "too_long": "At most {max_length} are taken here",
    "too_short": "At least {min_length} is needed here",
}


def _in_words(error: ErrorDetails) -> str:
    """What is wrong, without the expressions by which we found out."""
    if error["type"] == "string_pattern_mismatch":
        form = _FORMS.get(str(error["loc"][-1]) if error["loc"] else "")
        return (
            f"PriceExpectation: {form}" if form else "Does not have the form that this field takes"
        )
    kind = _KINDS.get(error["type"])
    return kind.format(**error.get("ctx", {})) if kind else error["msg"]


def _pointer(path: tuple[int | str, ...]) -> str:
    """Turn a path into a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(each).replace('~', '~0').replace('/', '~1')}" for each in path)
