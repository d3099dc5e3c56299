"""The headers of the API in the OpenAPI document."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter

from orders.api.http.documentation.operation import ResponseHeader


def _request_header(name: str, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(
        name, {"type": "string"}, OpenApiParameter.HEADER, description=description, **options
    )


IDEMPOTENCY_KEY: Final = _request_header(
    "Idempotency-Key",
    "Identifies this request and its repetitions: create a UUID when the customer presses *buy*, and "
    "send it with every repetition. The request takes effect once.",
    required=True,
    pattern="^[!#-+\\--~]{1,255}$",
)
PREFER: Final = _request_header(
    "Prefer",
    "`wait=N` delays the response until the order has settled, for at most N and never more than 10 "
    "seconds (RFC 7240). Other preferences are ignored; so is this one while too many requests wait.",
)
IF_NONE_MATCH: Final = _request_header(
    "If-None-Match",
    "The `ETag` of an earlier response: while nothing has changed, the response is 304 without a body.",
)
LAST_EVENT_ID: Final = _request_header(
    "Last-Event-ID", "The id of the last event received: the stream continues after it."
)

CORRELATION_ID: Final = ResponseHeader(
    "X-Correlation-ID", "Identifies this request, and the run that it starts, in the shop's logs."
)
LINK: Final = ResponseHeader("Link", "The neighbouring pages: `next` and `prev` (RFC 8288).")
ETAG: Final = ResponseHeader(
    "ETag", "Identifies this version of the response; send it as `If-None-Match`."
)
IDEMPOTENCY_REPLAYED: Final = ResponseHeader(
    "Idempotency-Replayed", "`true` when an earlier request with this key took effect."
)
LOCATION: Final = ResponseHeader("Location", "The path of the order.")
PREFERENCE_APPLIED: Final = ResponseHeader(
    "Preference-Applied",
    "How long the server waited at most: `wait=5`. It is missing when the server did not wait.",
)
RETRY_AFTER: Final = ResponseHeader("Retry-After", "Seconds until the next attempt.", "integer")
CHALLENGE: Final = ResponseHeader("WWW-Authenticate", "`Bearer`.")
RATE_LIMIT: Final = ResponseHeader(
    "RateLimit", "The requests left under the rate limit, and the seconds until there are more."
)
RATE_LIMIT_POLICY: Final = ResponseHeader(
    "RateLimit-Policy", "The rate limit: its name, requests and seconds."
)
