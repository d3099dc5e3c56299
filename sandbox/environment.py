"""Which variables of the caller's environment reach what we start, and which are replaced."""

from collections.abc import Mapping

# Where orders, messages and money go. A shell that happens to have them set must not be enough
# to point a test or a drill at a real database, broker or bank.
ADDRESSES = ("DATABASE_URL", "REDIS_URL", "STRIPE_API_KEY", "STRIPE_API_BASE")

# Other ways to the broker, and what libpq, Celery, Flower and gunicorn read behind our settings' back.
_SIDE_DOORS = ("PG", "BROKER_", "CELERY_", "FLOWER_", "GUNICORN_", "DJANGO_")


def is_external(environment: Mapping[str, str]) -> bool:
    """Tell whether the caller asked, by EXTERNAL=1, for the addresses in the environment."""
    return environment.get("EXTERNAL") == "1"


def given_addresses(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses to use instead of the embedded servers': none unless EXTERNAL=1."""
    if not is_external(environment):
        return {}
    return {name: environment[name] for name in ADDRESSES if environment.get(name)}


def without_addresses(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment less everything that says where to connect to."""
    return {
        name: value
        for name, value in environment.items()
        if name not in ADDRESSES and not name.startswith(_SIDE_DOORS)
    }
