"""Stripe's error responses: HTTP status, fields, and whether they are saved under the key."""

from sandbox.http_service.json_values import JsonObject


class ApiError(Exception):
    """An error response.

    ``saved`` is whether it is saved under the idempotency key. As at Stripe, errors that are found
    before the operation begins are not saved; errors of the operation itself are.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",  # noqa: A002 - Stripe's name for the field
        code: str | None = None,
        param: str | None = None,
        payment_intent: JsonObject | None = None,
        saved: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.payment_intent = payment_intent
        self.saved = saved

    def body(self) -> JsonObject:
        error: JsonObject = {"message": self.message, "type": self.type}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = doc_url(self.code)
        if self.param is not None:
            error["param"] = self.param
        if self.payment_intent is not None:
            error["payment_intent"] = self.payment_intent
        return {"error": error}


def doc_url(code: str) -> str:
    return f"https://docs.stripe.com/error-codes#{code.replace('_', '-')}"


def unauthorized(message: str) -> ApiError:
    return ApiError(401, message)


def unknown_url(method: str, path: str) -> ApiError:
    return ApiError(404, f"Unrecognized request URL ({method}: {path}).")


def no_such(kind: str, object_id: str, *, param: str, status: int = 404) -> ApiError:
    return ApiError(status, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def missing(name: str) -> ApiError:
    return ApiError(400, f"Missing required param: {name}.", code="parameter_missing", param=name)


def invalid(message: str, *, param: str, code: str | None = None) -> ApiError:
    return ApiError(400, message, code=code, param=param)


def unexpected_state(message: str, payment_intent: JsonObject) -> ApiError:
    """The PaymentIntent's status does not allow the operation."""
    return ApiError(
        400,
        message,
        code="payment_intent_unexpected_state",
        payment_intent=payment_intent,
        saved=True,
    )


def rejected(message: str, *, code: str | None = None, param: str | None = None) -> ApiError:
    """The operation began, and rejects the request."""
    return ApiError(400, message, code=code, param=param, saved=True)


def server_error() -> ApiError:
    return ApiError(500, "An unknown error occurred.", type="api_error", saved=True)


def rate_limited() -> ApiError:
    return ApiError(
        429,
        "Request rate limit exceeded. Learn more about rate limits here "
        "https://docs.stripe.com/rate-limits.",
        code="rate_limit",
    )


def lock_timeout() -> ApiError:
    return ApiError(
        429,
        "This object cannot be accessed right now because another API request or Stripe process "
        "is currently accessing it.",
        code="lock_timeout",
    )


def key_in_use(key: str) -> ApiError:
    return ApiError(
        409,
        "There is currently another in-progress request using this Idempotent Key (that probably "
        "means you submitted twice, and the other request is still going through): "
        f"{key}. Please try again later.",
        type="idempotency_error",
        code="idempotency_key_in_use",
    )


def key_reused(key: str, *, differs: str) -> ApiError:
    """The key belongs to a request with another endpoint or other parameters."""
    return ApiError(
        400,
        f"Keys for idempotent requests can only be used {differs} they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request.",
        type="idempotency_error",
    )


def key_too_long() -> ApiError:
    return ApiError(400, "Idempotency-Key is too long: at most 255 characters are allowed.")
