"""Every header of the API's own, described once."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter

from orders.api.http.documentation.operation import Header


def _asked(name: str, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(
        name, {"type": "string"}, OpenApiParameter.HEADER, description=description, **more
    )


IDEMPOTENCY_KEY: Final = _asked(
    "Idempotency-Key",
    "Names this purpose among all of yours: make a UUID when the customer presses *buy*, and send "
    "it with every repetition of the request. It acts once, whatever happens on the way.",
    required=True,
    pattern="^[!#-+\\--~]{1,255}$",
)
PREFER: Final = _asked(
    "Prefer",
    "`wait=N` holds the answer until the order got there, for N seconds at most, and never longer "
    "than 10 (RFC 7240). Other preferences are ignored, and so is this one while many wait.",
)
IF_NONE_MATCH: Final = _asked(
    "If-None-Match",
    "The `ETag` of what you have: the answer is 304, without a body, while nothing has changed.",
)

LAST_EVENT_ID: Final = _asked(
    "Last-Event-ID", "The id of the event that you saw last: you are told what came after it."
)

CORRELATION_ID: Final = Header(
    "X-Correlation-ID", "Names this request, and the run of the order that it starts, in our logs."
)
LINK: Final = Header("Link", "The pages beside this one: `next` and `prev` (RFC 8288).")
ETAG: Final = Header("ETag", "Names what you were shown; send it as `If-None-Match`.")
IDEMPOTENCY_REPLAYED: Final = Header(
    "Idempotency-Replayed", "`true` when an earlier request with this key did what was asked."
)
LOCATION: Final = Header("Location", "Where the order is read.")
PREFERENCE_APPLIED: Final = Header(
    "Preference-Applied", "How long we waited at most: `wait=5`. Without it, we did not wait."
)
RETRY_AFTER: Final = Header("Retry-After", "After how many seconds to ask again.", "integer")
CHALLENGE: Final = Header("WWW-Authenticate", "`Bearer`.")
RATE_LIMIT: Final = Header(
    "RateLimit", "What is left of the rate, and in how many seconds there is more."
)
RATE_LIMIT_POLICY: Final = Header("RateLimit-Policy", "The rate: how many in how many seconds.")
