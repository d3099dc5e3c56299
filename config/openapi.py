"""How drf-spectacular makes the API's document, and serves it."""

from typing import Any, Final

SETTINGS: Final[dict[str, Any]] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Holdfast storefront API",
    "VERSION": "1",
    "DESCRIPTION": (
        "An order that was accepted ends: confirmed, with its stock held and its money set aside, "
        "or cancelled with everything undone.\n\n"
        "* Amounts are in minor units (`_minor`, cents) of `currency`; times are UTC.\n"
        "* Every request that does something may be repeated with its `Idempotency-Key`: it acts "
        "once.\n"
        "* Every error is a problem (RFC 9457), whose `type` leads to a page that says what to "
        "do.\n"
        "* Fields may be added to answers; a request with fields that we do not know is refused."
    ),
    "TAGS": [{"name": "Buying"}, {"name": "Following"}, {"name": "Guests"}],
    "SERVE_INCLUDE_SCHEMA": False,
    # The document is about the API and tells nothing of anybody: everybody may read it.
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    # The other is by a link, which stands in the path.
    "AUTHENTICATION_WHITELIST": ["access.authentication.BearerAuthentication"],
    # Enums come from the models with names of their own.
    "POSTPROCESSING_HOOKS": [],
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # The validator would send the address of the shop to somebody else.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
}
