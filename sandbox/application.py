"""The environment of every process of the all-in-one run."""

import os
from collections.abc import Mapping
from typing import Final

from sandbox import postgres, valkey
from sandbox.environment import given_addresses, is_external, without_addresses
from sandbox.outside_service.services import service_of, setting_of
from sandbox.ports import LOOPBACK
from sandbox.programs import POSTGRES, STRIPE, VALKEY, WEB
from sandbox.run_directory import RunDirectory
from sandbox.supervision import path_with_python

ADMIN: Final = "demo-admin"
OPERATOR: Final = "demo-operator"
OPERATORS: Final = "operator"  # the application's name of the role
CUSTOMER: Final = "demo-customer"
SHOP: Final = "demo-shop"
FLOWER_USER: Final = "demo"
REVIEW_ABOVE_MINOR: Final = "100000"
"""So that the carts of a few scenarios are reviewed; all others cost less."""
DEFAULTS: Final = {
    # One customer places orders as fast as possible.
    "THROTTLING": "0",
    "MAX_OPEN_ORDERS": "0",
    "PAYMENT_GRACE_SECONDS": "900",
    "REVIEW_ABOVE_MINOR": REVIEW_ABOVE_MINOR,
}
"""Settings that the caller's environment may change."""


def settings_for(
    directory: RunDirectory, ports: Mapping[str, int], caller: Mapping[str, str]
) -> dict[str, str]:
    """Return the application's settings. The caller's addresses are used only with EXTERNAL=1."""
    given = given_addresses(caller)
    secrets = directory.secrets()
    settings = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": secrets.secret_key,
        "INSTALLATION_ID": secrets.installation_id,
        "DEBUG": "0",
        # Loopback has no TLS, and a new developer has no second factor set up.
        "HTTPS": "0",
        "PROXIES": "0",
        "DESK_REQUIRES_MFA": caller.get("DESK_REQUIRES_MFA", "0"),
        "STOREFRONT_URL": f"http://{LOOPBACK}:{ports[WEB]}",
        "FLOWER_URL": f"http://{LOOPBACK}:{ports['flower']}/",
        "ALLOWED_HOSTS": f"{LOOPBACK},localhost",
        "PROMETHEUS_MULTIPROC_DIR": str(directory.relative / "metrics"),
        "METRICS_ADDRESS": LOOPBACK,
        "METRICS_PORT": str(ports["metrics"]),
        **{name: caller.get(name, value) for name, value in DEFAULTS.items()},
        **given,
    }
    if "DATABASE_URL" not in given:
        postgres.prepare_password(directory.postgres)
        settings["DATABASE_URL"] = postgres.database_url(directory.postgres, ports[POSTGRES])
    if "REDIS_URL" not in given:
        settings["REDIS_URL"] = valkey.redis_url(ports[VALKEY])
    if "STRIPE_API_KEY" not in given:
        settings["STRIPE_API_KEY"] = secrets.stripe_key
        settings["STRIPE_API_BASE"] = f"http://{LOOPBACK}:{ports[STRIPE]}"
        # Only this run uses the sandbox, which has no rate limit.
        settings["STRIPE_CALLS_PER_SECOND"] = caller.get("STRIPE_CALLS_PER_SECOND", "0")
    for name, port in ports.items():
        if (service := service_of(name)) and setting_of(service) not in given:
            settings[setting_of(service)] = f"http://{LOOPBACK}:{port}"
    return settings


def without_waits(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's environment for runs whose orders wait for no customer and no review.

    A declined order is cancelled at once. What the caller has set stays.
    """
    return {"PAYMENT_GRACE_SECONDS": "0", "REVIEW_ABOVE_MINOR": "0", **caller}


def process_environment(
    directory: RunDirectory, ports: Mapping[str, int], caller: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of supervisord and its programs."""
    inherited = dict(caller) if is_external(caller) else without_addresses(caller)
    return {
        **inherited,
        **settings_for(directory, ports, caller),
        "PATH": path_with_python(os.environ),
        "PYTHONUNBUFFERED": "1",  # else a killed process would lose log lines
        "SERVE": "storefront",  # the Procfile's desk sets its own
        "FLOWER_ADDRESS": LOOPBACK,
        "FLOWER_PORT": str(ports["flower"]),
        "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{directory.secrets().flower_password}",
    }
