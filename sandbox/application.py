"""The environment of every process of the all-in-one run."""

import os
from collections.abc import Collection, Mapping
from typing import Final

from sandbox import postgres, valkey
from sandbox.environment import (
    OPENED_BY_BROWSERS,
    given_addresses,
    is_external,
    without_addresses,
)
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
    "REVIEW_ABOVE_MINOR": REVIEW_ABOVE_MINOR,
    # The first order may be placed before the relay has started.
    "EVENTS_FROM_FIRST": "1",
    # A new developer has no second factor set up.
    "DESK_REQUIRES_MFA": "0",
    # Only this run uses the sandbox of Stripe, which has no rate limit.
    "STRIPE_CALLS_PER_SECOND": "0",
}
"""Settings whose default is another one than the application's. The caller's environment may change them."""

CHOSEN_BY_THE_RUN: Final = (
    *("SECRET_KEY", "INSTALLATION_ID", "DEBUG", "HTTPS", "PROXIES", "SERVE", "ALLOWED_HOSTS"),
    *(
        "STOREFRONT_URL",
        "FLOWER_URL",
        "PROMETHEUS_MULTIPROC_DIR",
        "METRICS_ADDRESS",
        "METRICS_PORT",
    ),
)
"""Settings that the run chooses itself: the caller's are ignored."""


def is_passed_on(setting: str) -> bool:
    """Return whether `make up` takes a setting from the caller's environment.

    Addresses and credentials are taken only with EXTERNAL=1.
    """
    if setting in CHOSEN_BY_THE_RUN:
        return False
    return setting in OPENED_BY_BROWSERS or bool(without_addresses({setting: ""}))


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
        "HTTPS": "0",  # loopback has no TLS
        "PROXIES": "0",
        "STOREFRONT_URL": f"http://{LOOPBACK}:{ports[WEB]}",
        "FLOWER_URL": f"http://{LOOPBACK}:{ports['flower']}/",
        "ALLOWED_HOSTS": f"{LOOPBACK},localhost",
        "PROMETHEUS_MULTIPROC_DIR": str(directory.relative / "metrics"),
        "METRICS_ADDRESS": LOOPBACK,
        "METRICS_PORT": str(ports["metrics"]),
        **{name: caller.get(name, value) for name, value in DEFAULTS.items()},
        **{name: caller[name] for name in OPENED_BY_BROWSERS if caller.get(name)},
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
    elif "STRIPE_CALLS_PER_SECOND" not in caller:
        del settings["STRIPE_CALLS_PER_SECOND"]  # not the sandbox: the application's own limit
    for name, port in ports.items():
        if (service := service_of(name)) and setting_of(service) not in given:
            settings[setting_of(service)] = f"http://{LOOPBACK}:{port}"
    return settings


def commands_environment(
    settings: Mapping[str, str], environment: Mapping[str, str], declared: Collection[str]
) -> dict[str, str]:
    """Return the settings with which commands work on a running system: those that its programs have.

    ``environment`` is that of its programs, ``declared`` names all settings of the application. SERVE
    is left out, because commands serve nothing.
    """
    given = {name: value for name, value in environment.items() if name in declared}
    return {name: value for name, value in {**given, **settings}.items() if name != "SERVE"}


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
