"""Settings of drf-spectacular, which generates and serves the OpenAPI document."""

from typing import Any, Final

SETTINGS: Final[dict[str, Any]] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Holdfast storefront API",
    "VERSION": "1",
    "DESCRIPTION": (
        "Each accepted order ends in one of two ways. It is confirmed: its stock is reserved and its "
        "payment authorized. Or it is cancelled: all its effects are compensated.\n\n"
        "* Amounts are in minor units (`_minor`, cents) of `currency`; times are in UTC.\n"
        "* Requests that change something can be repeated with their `Idempotency-Key`: they take "
        "effect once.\n"
        "* Errors are problems (RFC 9457). Their `type` is the path of a page that says what to do.\n"
        "* Responses may get new fields. Requests with unknown fields are refused."
    ),
    "SERVE_INCLUDE_SCHEMA": False,
    # The document has no data of customers, so it is public.
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    # Guest links are part of the path, not a security scheme.
    "AUTHENTICATION_WHITELIST": ["access.authentication.BearerAuthentication"],
    # Pydantic names enums itself.
    "POSTPROCESSING_HOOKS": [],
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # The validator would send the shop's address to swagger.io.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
}
