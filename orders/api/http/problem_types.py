"""Every problem that the API answers with: what it means, and what its reader can do about it.

The pages below ``/problems/`` and ``docs/problems.md`` are made of this table.
"""

from enum import Enum, unique
from http import HTTPStatus


@unique
class ProblemType(Enum):
    """A kind of problem. Its slug and status are stable: programs tell problems apart by them."""

    MALFORMED_REQUEST = (
        HTTPStatus.BAD_REQUEST,
        "Malformed request",
        (
            "The request cannot be read as one thing only: its body is not JSON in UTF-8, has NaN, half"
            " of a surrogate pair or the same key twice in an object, a whole number of more than 4,300"
            " digits, or lists and objects nested hundreds deep; or the server could make no sense of it."
        ),
        "Send the JSON that a well-kept library writes.",
    )
    UNKNOWN_HOST = (
        HTTPStatus.BAD_REQUEST,
        "Unknown host",
        "The request is addressed to a host that is not ours.",
        (
            "Use the address that the shop gave you. For the shop itself: add the name to"
            " `ALLOWED_HOSTS`."
        ),
    )
    IDEMPOTENCY_KEY_MISSING = (
        HTTPStatus.BAD_REQUEST,
        "Idempotency key missing",
        (
            "Something would happen, and there is no `Idempotency-Key`: a repetition could not be told"
            " from a second wish."
        ),
        (
            "Send a key of your own for each purpose, such as a UUID, and the same one when you repeat"
            " the request."
        ),
    )
    IDEMPOTENCY_KEY_INVALID = (
        HTTPStatus.BAD_REQUEST,
        "Idempotency key invalid",
        (
            "There is more than one `Idempotency-Key`, or it is longer than 255 characters, or has"
            " others than visible ASCII without commas and quotes."
        ),
        "Send one key, such as a UUID.",
    )
    INVALID_QUERY = (
        HTTPStatus.BAD_REQUEST,
        "Invalid query",
        (
            "A query parameter is unknown, is given twice or has a value that it does not take; or a"
            " cursor was not given out by this list, for this caller and these filters."
        ),
        "See `errors`: each names a `parameter`. Take cursors from `next` and `previous` as they are.",
    )
    NOT_AUTHENTICATED = (
        HTTPStatus.UNAUTHORIZED,
        "Not authenticated",
        "There is no token, or it is not valid (any more).",
        "Send `Authorization: Bearer` with a valid token.",
    )
    PERMISSION_DENIED = (
        HTTPStatus.FORBIDDEN,
        "Permission denied",
        "You are known, and this is not for you.",
        "Use a token that was made for this, or ask for the permission.",
    )
    SCOPE_MISSING = (
        HTTPStatus.FORBIDDEN,
        "Scope missing",
        "The token or link is valid, and was not made for this; `detail` names the scope.",
        "Use a token with that scope.",
    )
    FORM_EXPIRED = (
        HTTPStatus.FORBIDDEN,
        "Form expired",
        (
            "A form was sent that this site did not give out for you, or not lately. The API has no"
            " forms: this is about pages in a browser."
        ),
        "Load the page again, with cookies allowed, and send the form once more.",
    )
    NOT_FOUND = (
        HTTPStatus.NOT_FOUND,
        "Not found",
        "There is nothing here, or it is somebody else's, which is told the same way.",
        "Check the address and whose token you use.",
    )
    METHOD_NOT_ALLOWED = (
        HTTPStatus.METHOD_NOT_ALLOWED,
        "Method not allowed",
        "There is something here, and it does not take this method.",
        "Use one of those in `Allow`. There is no way to override the method.",
    )
    NOT_ACCEPTABLE = (
        HTTPStatus.NOT_ACCEPTABLE,
        "Not acceptable",
        "What `Accept` asks for cannot be had here.",
        "Accept `application/json`; for an order's events, `text/event-stream`.",
    )
    REQUEST_TIMEOUT = (
        HTTPStatus.REQUEST_TIMEOUT,
        "Request timeout",
        "The rest of the body did not come in time. Nothing has happened, and the connection is closed.",
        "Send the request again, whole, with the same `Idempotency-Key`.",
    )
    IDEMPOTENCY_KEY_IN_FLIGHT = (
        HTTPStatus.CONFLICT,
        "Idempotency key in flight",
        "The first request with this key is not done yet.",
        "Repeat the request with the same key when `Retry-After` has passed.",
    )
    LINK_EXPIRED = (
        HTTPStatus.GONE,
        "Link expired",
        "The link to this order was genuine, and its time is over.",
        "Ask the shop for a new one.",
    )
    PRECONDITION_FAILED = (
        HTTPStatus.PRECONDITION_FAILED,
        "Precondition failed",
        "`If-Match` names an entity tag that what is here does not have.",
        "Read it without `If-Match`; to be told of changes only, send `If-None-Match`.",
    )
    REFERENCE_ALREADY_USED = (
        HTTPStatus.CONFLICT,
        "Reference already used",
        (
            "The customer has an order of this `reference`, placed under another `Idempotency-Key`."
            " `order_id` and `Location` say which."
        ),
        "See whether that order is the one you meant. For another one use another reference.",
    )
    TOO_MANY_OPEN_ORDERS = (
        HTTPStatus.CONFLICT,
        "Too many open orders",
        "The customer has as many unfinished orders as one may have at a time.",
        "Wait until one of them has ended, or cancel one.",
    )
    PRICE_CHANGED = (
        HTTPStatus.CONFLICT,
        "Price changed",
        (
            "The cart does not cost what `expected_total_minor` and `expected_currency` say."
            " `total_minor`, `currency` and `items` have what it costs now. Nobody was charged."
        ),
        "Show the customer the new total, and place the order anew with it.",
    )
    TRANSITION_NOT_ALLOWED = (
        HTTPStatus.CONFLICT,
        "Transition not allowed",
        (
            "The order is in a state (`order_status`) that forbids what was asked for."
            " `allowed_transitions` has the states that it can get to from there."
        ),
        "Wait as `Retry-After` says, look at the order, and ask again if you still want it.",
    )
    BODY_TOO_LARGE = (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "Body too large",
        "The body has more than 64 KiB. It was not read to its end, and the connection is closed.",
        "Send less: no request needs as much.",
    )
    UNSUPPORTED_MEDIA_TYPE = (
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "Unsupported media type",
        "The body is not JSON in UTF-8, or is compressed.",
        "Send `Content-Type: application/json`, and no `Content-Encoding`.",
    )
    INVALID_REQUEST = (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid request",
        (
            "The request can be read, and something in it is missing, unknown or out of range; a SKU is"
            " not for sale; or the total is more than the bank takes in one payment."
        ),
        (
            "See `errors`: each points to the field (`pointer`, in the body) or names the query"
            " parameter (`parameter`) or header (`header`) that is wrong."
        ),
    )
    IDEMPOTENCY_KEY_REUSED = (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Idempotency key reused",
        "This key was used for another request: another path, or another body.",
        "Use a new key for a new purpose.",
    )
    TOO_MANY_REQUESTS = (
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many requests",
        "You have asked more often than you may.",
        "Wait as `Retry-After` says, and repeat the request with the same `Idempotency-Key`.",
    )
    TOO_MANY_STREAMS = (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many streams",
        "As many streams of events are open here as may be; orders are not kept waiting by them.",
        "Read the order now and then instead, or ask again when `Retry-After` has passed.",
    )
    TOO_MANY_OWN_STREAMS = (
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many own streams",
        (
            "As many streams of events are open for one customer as may be; others are to have some,"
            " too. Whoever asks, with a token or a link, it counts whose the order is."
        ),
        (
            "Close a stream that nobody looks at any more, or wait as `Retry-After` says: each ends by"
            " itself. Meanwhile read the order now and then."
        ),
    )
    INTERNAL_ERROR = (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Internal error",
        "A bug of ours. What the request was to do has not happened.",
        (
            "Repeat the request with the same `Idempotency-Key`; if it stays, send us the"
            " `correlation_id`."
        ),
    )
    TEMPORARILY_UNAVAILABLE = (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Temporarily unavailable",
        "The database did not answer, or not in time.",
        (
            "Repeat the request with the same `Idempotency-Key` when `Retry-After` has passed: it tells"
            " what was done from what was not."
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
        """The ``type`` of its problems, which leads to its page."""
        return f"/problems/{self.slug}"
