"""All problem types: what each means, and what the developer of a storefront can do about it.

The pages below ``/problems/`` and ``docs/problems.md`` are generated from this table.
"""

from enum import Enum, unique
from http import HTTPStatus


@unique
class ProblemType(Enum):
    """A type of problem. Slug and status are part of the API: programs depend on them."""

    MALFORMED_REQUEST = (
        HTTPStatus.BAD_REQUEST,
        "Malformed request",
        (
            "The body is not JSON in UTF-8. Or it contains NaN or half of a surrogate pair, or repeats"
            " a key in an object. Or it has a whole number of more than 4,300 digits, or nests lists"
            " and objects hundreds deep."
        ),
        "Send JSON as a common JSON library writes it.",
    )
    UNKNOWN_HOST = (
        HTTPStatus.BAD_REQUEST,
        "Unknown host",
        "The request is addressed to a host name that this shop does not serve.",
        "Use the address that the shop gave you. The shop's operators add names to `ALLOWED_HOSTS`.",
    )
    IDEMPOTENCY_KEY_MISSING = (
        HTTPStatus.BAD_REQUEST,
        "Idempotency key missing",
        (
            "This request changes something and has no `Idempotency-Key`. Without one, a repetition"
            " looks like a second request."
        ),
        "Send a new key, such as a UUID, for each new request, and the same key with repetitions.",
    )
    IDEMPOTENCY_KEY_INVALID = (
        HTTPStatus.BAD_REQUEST,
        "Idempotency key invalid",
        (
            "There is more than one `Idempotency-Key`, or it is longer than 255 characters. Or it"
            " contains a comma, a quote, a space or a character outside of ASCII."
        ),
        "Send one key, such as a UUID.",
    )
    INVALID_QUERY = (
        HTTPStatus.BAD_REQUEST,
        "Invalid query",
        (
            "A query parameter is unknown, repeated or malformed; or the cursor does not belong to"
            " this list, this caller and these filters."
        ),
        "See `errors`: each names a `parameter`. Use the addresses in `next` and `previous` unchanged.",
    )
    NOT_AUTHENTICATED = (
        HTTPStatus.UNAUTHORIZED,
        "Not authenticated",
        "The token is missing, unknown, expired or revoked.",
        "Send `Authorization: Bearer` with a valid token.",
    )
    PERMISSION_DENIED = (
        HTTPStatus.FORBIDDEN,
        "Permission denied",
        "The caller is known, and does not have the permission for this.",
        "Use another token, or ask for the permission.",
    )
    SCOPE_MISSING = (
        HTTPStatus.FORBIDDEN,
        "Scope missing",
        "The token or link is valid, and does not have the scope that `detail` names.",
        "Use a token with that scope.",
    )
    FORM_EXPIRED = (
        HTTPStatus.FORBIDDEN,
        "Form expired",
        (
            "The CSRF check of a form failed: the form is too old, or comes from another site. This"
            " concerns pages in a browser; the API has no forms."
        ),
        "Load the page again, with cookies allowed, and send the form once more.",
    )
    NOT_FOUND = (
        HTTPStatus.NOT_FOUND,
        "Not found",
        "It does not exist, or it belongs to another customer. Both get the same response.",
        "Check the address and the token.",
    )
    METHOD_NOT_ALLOWED = (
        HTTPStatus.METHOD_NOT_ALLOWED,
        "Method not allowed",
        "This address does not support the method.",
        "Use a method that `Allow` lists. Headers that override the method are ignored.",
    )
    NOT_ACCEPTABLE = (
        HTTPStatus.NOT_ACCEPTABLE,
        "Not acceptable",
        "This address has no response in the media type that `Accept` asks for.",
        "Accept `application/json`; for an order's events, `text/event-stream`.",
    )
    REQUEST_TIMEOUT = (
        HTTPStatus.REQUEST_TIMEOUT,
        "Request timeout",
        (
            "The rest of the body did not arrive in time. Nothing was changed, and the connection is"
            " closed."
        ),
        "Send the complete request again with the same `Idempotency-Key`.",
    )
    IDEMPOTENCY_KEY_IN_FLIGHT = (
        HTTPStatus.CONFLICT,
        "Idempotency key in flight",
        "The first request with this key is still running.",
        "Repeat the request with the same key after `Retry-After`.",
    )
    LINK_EXPIRED = (
        HTTPStatus.GONE,
        "Link expired",
        "The guest link was valid, and has expired.",
        "Ask the shop for a new one.",
    )
    PRECONDITION_FAILED = (
        HTTPStatus.PRECONDITION_FAILED,
        "Precondition failed",
        "The resource does not have the ETag that `If-Match` names.",
        "Read it without `If-Match`. To read it only after a change, send `If-None-Match`.",
    )
    REFERENCE_ALREADY_USED = (
        HTTPStatus.CONFLICT,
        "Reference already used",
        (
            "The customer already has an order with this `reference`, placed with another"
            " `Idempotency-Key`. `order_id` and `Location` identify it."
        ),
        "Check whether that order is the intended one. For another order use another reference.",
    )
    TOO_MANY_OPEN_ORDERS = (
        HTTPStatus.CONFLICT,
        "Too many open orders",
        "The customer has reached the limit of unfinished orders.",
        "Wait until one of them has ended, or cancel one.",
    )
    PRICE_CHANGED = (
        HTTPStatus.CONFLICT,
        "Price changed",
        (
            "The cart does not cost `expected_total_minor` in `expected_currency`. `total_minor`,"
            " `currency` and `items` have the current prices. Nothing was ordered or charged."
        ),
        "Show the customer the new total, and place the order again with it.",
    )
    TRANSITION_NOT_ALLOWED = (
        HTTPStatus.CONFLICT,
        "Transition not allowed",
        (
            "The order's status (`order_status`) does not allow this. `allowed_transitions` lists the"
            " statuses that can follow."
        ),
        "Wait for `Retry-After`, read the order, and repeat the request if it still applies.",
    )
    PAYMENT_NOT_AWAITED = (
        HTTPStatus.CONFLICT,
        "Payment not awaited",
        (
            "The order (`order_status`) does not wait for another payment: it is being paid, was paid,"
            " is cancelled, or the shop is looking into it. `detail` says which."
        ),
        (
            "Follow the order: `links.pay` is set while another payment is possible. With"
            " `Retry-After` repeat the request."
        ),
    )
    PAYMENT_IN_PROGRESS = (
        HTTPStatus.CONFLICT,
        "Payment in progress",
        "The order has an open payment (`payment_id`), which its customer can still authenticate.",
        (
            "Continue with `next_action` of the order. Or repeat the request with `replaces` set to"
            " `payment_id`: the open payment is then cancelled first."
        ),
    )
    TOO_MANY_PAYMENTS = (
        HTTPStatus.CONFLICT,
        "Too many payments",
        "The order was paid by as many methods as the shop allows for one order, without success.",
        "Cancel the order, and place another one.",
    )
    SIGNAL_NOT_ALLOWED = (
        HTTPStatus.CONFLICT,
        "Signal not allowed",
        (
            "The order does not take this signal now: its checkout has no such signal, is past it, or"
            " has ended. `allowed_signals` lists those that this caller may send now."
        ),
        "Read the order, and send the signal only if it still applies.",
    )
    APPROVAL_ALREADY_DECIDED = (
        HTTPStatus.CONFLICT,
        "Approval already decided",
        (
            "The approval was decided otherwise, or has expired without a decision. `approval` has the"
            " first decision, which is final. This request changed nothing."
        ),
        "Show what was decided. To undo it, act on the order: for example, cancel it.",
    )
    BODY_TOO_LARGE = (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "Body too large",
        "The body is larger than 64 KiB. The rest was not read, and the connection is closed.",
        "Send a smaller body. No request of this API needs as much.",
    )
    UNSUPPORTED_MEDIA_TYPE = (
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "Unsupported media type",
        "The body is not declared as JSON in UTF-8, or is compressed.",
        "Send `Content-Type: application/json`, and no `Content-Encoding`.",
    )
    INVALID_REQUEST = (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid request",
        (
            "A value is missing, unknown or out of range. Or a SKU is not for sale. Or the total is"
            " more than the payment provider accepts in one payment."
        ),
        (
            "See `errors`: each points to a field of the body (`pointer`), or names a query"
            " parameter (`parameter`) or a header (`header`)."
        ),
    )
    TOTAL_BELOW_MINIMUM = (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Total below minimum",
        (
            "The cart costs less (`total_minor`) than the payment provider charges in one payment:"
            " `minimum_minor`, in minor units of `currency`. Nothing was ordered or charged."
        ),
        "Have the customer add something to the cart, until it costs `minimum_minor`.",
    )
    IDEMPOTENCY_KEY_REUSED = (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Idempotency key reused",
        "This key was used for another request: with another path or another body.",
        "Use a new key for a new request.",
    )
    TOO_MANY_REQUESTS = (
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many requests",
        "The caller has reached the rate limit that `RateLimit-Policy` names.",
        "Wait for `Retry-After`, then repeat the request with the same `Idempotency-Key`.",
    )
    TOO_MANY_STREAMS = (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many streams",
        "This server process has reached its limit of open event streams.",
        "Read the order repeatedly instead, or open a stream after `Retry-After`.",
    )
    TOO_MANY_CUSTOMER_STREAMS = (
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many streams of one customer",
        (
            "This customer has reached the limit of open event streams. Streams count for the"
            " customer of the order, whichever token or link opened them."
        ),
        (
            "Close a stream that is no longer needed, or wait for `Retry-After`. Meanwhile read the"
            " order repeatedly."
        ),
    )
    INTERNAL_ERROR = (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Internal error",
        "The server has a bug. The request has changed nothing.",
        (
            "Repeat the request with the same `Idempotency-Key`. If it fails again, report the"
            " `correlation_id` to the shop."
        ),
    )
    TEMPORARILY_UNAVAILABLE = (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Temporarily unavailable",
        "The database did not answer, or not in time.",
        (
            "Repeat the request with the same `Idempotency-Key` after `Retry-After`. If the first"
            " request took effect, the repetition returns its response."
        ),
    )

    def __init__(self, status: HTTPStatus, title: str, meaning: str, remedy: str) -> None:
        self.status = status
        self.title = title
        self.meaning = meaning
        self.remedy = remedy

    @property
    def slug(self) -> str:
        return self.name.lower().replace("_", "-")

    @property
    def uri(self) -> str:
        """The ``type`` of a problem: the path of its page."""
        return f"/problems/{self.slug}"
