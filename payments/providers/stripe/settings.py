"""The environment variables of Stripe, read by ``config.settings`` into settings of the same names."""

from typing import Any, Protocol, cast

from django.conf import settings

from payments.providers.variables import Variables

TITLE = "Stripe"


class StripeSettings(Protocol):
    """The settings of Stripe, with their types."""

    STRIPE_API_KEY: str
    STRIPE_API_BASE: str
    STRIPE_CALLS_PER_SECOND: int
    STRIPE_FALLBACK_CALLS_PER_SECOND: int


stripe_settings = cast(StripeSettings, settings)


def read(variables: Variables) -> dict[str, Any]:
    """Read each variable once, with its explanation for ``docs/configuration.md``."""
    return {
        "STRIPE_API_KEY": variables.text("STRIPE_API_KEY", "Stripe's secret key.", is_secret=True),
        "STRIPE_API_BASE": variables.address(
            "STRIPE_API_BASE", "Another address than Stripe's own, such as a sandbox.", ""
        ),
        "STRIPE_CALLS_PER_SECOND": variables.number(
            "STRIPE_CALLS_PER_SECOND",
            "Limit for all processes together; 0 for none. Stripe itself allows 100 in live mode and "
            "25 in Stripe's own sandboxes.",
            80,
        ),
        "STRIPE_FALLBACK_CALLS_PER_SECOND": variables.number(
            "STRIPE_FALLBACK_CALLS_PER_SECOND",
            "Limit for each process while Redis is unreachable.",
            5,
            at_least=1,
        ),
    }
