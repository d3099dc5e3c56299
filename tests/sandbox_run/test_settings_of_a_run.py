"""Which settings a run takes from its caller, and those with which commands work on it."""

import re
import shutil
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.conf import settings

from sandbox.__main__ import environment_of
from sandbox.application import (
    CHOSEN_BY_THE_RUN,
    DEFAULTS,
    commands_environment,
    is_passed_on,
    process_environment,
    settings_for,
)
from sandbox.prepare import declared_settings
from sandbox.procfile import ROOT
from sandbox.programs import POSTGRES, STRIPE, VALKEY
from sandbox.run_directory import RunDirectory

PORTS = {POSTGRES: 1001, VALKEY: 1002, STRIPE: 1003, "web": 1004, "flower": 1005, "metrics": 1006}

DECLARED = [variable.name for section in settings.CONFIGURATION for variable in section.variables]

WITHHELD = {
    *("DATABASE_URL", "REDIS_URL", "BROKER_URL", "STRIPE_API_KEY", "STRIPE_API_BASE"),
    *("EVENT_REDIS_URL", "KAFKA_URL"),
    *("SENTRY_DSN", "OTEL_EXPORTER_OTLP_ENDPOINT"),
}
"""Addresses and credentials of servers and services, which need EXTERNAL=1."""


@pytest.fixture
def directory() -> Iterator[RunDirectory]:
    name = f"test-{uuid4().hex}"
    directory = RunDirectory(name, published=f"var/{name}/up.json")
    directory.prepare()
    yield directory
    shutil.rmtree(directory.path)


def test_a_setting_is_passed_on_unless_it_is_chosen_by_the_run_or_an_address(
    directory: RunDirectory,
) -> None:
    caller = {name: f"caller's {name}" for name in DECLARED}

    environment = process_environment(directory, PORTS, caller)

    passed_on = {name for name in DECLARED if environment.get(name) == caller[name]}
    assert passed_on == {name for name in DECLARED if is_passed_on(name)}
    not_passed_on = set(DECLARED) - passed_on
    assert not_passed_on == {*CHOSEN_BY_THE_RUN, *WITHHELD} & set(DECLARED)
    assert "PAYMENT_RETURN_URL" in passed_on


def test_every_default_of_a_run_differs_from_the_applications() -> None:
    variables = {
        variable.name: variable
        for section in settings.CONFIGURATION
        for variable in section.variables
    }

    for name, value in DEFAULTS.items():
        default = variables[name].default
        ours = str(int(default) if isinstance(default, bool) else default)
        assert value != ours, name


def test_the_readme_lists_them() -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme.partition("### Settings of `make up` and `make demo`")[2].partition(
        "\n\nThe make"
    )[0]
    defaults, chosen, *_ = [item for item in section.split("\n* ") if "`" in item][1:]

    assert set(re.findall(r"`(\w+=\w+)`", defaults)) == {
        f"{name}={DEFAULTS[name]}" for name in DEFAULTS
    }
    assert set(re.findall(r"`(\w+)`", chosen)) == set(CHOSEN_BY_THE_RUN)


def test_the_readme_names_a_default_of_the_application_that_a_run_changes() -> None:
    head = (ROOT / "docs" / "configuration.md").read_text().partition("## ")[0]

    assert f"`REVIEW_ABOVE_MINOR={DEFAULTS['REVIEW_ABOVE_MINOR']}`" in head


def test_commands_have_the_settings_of_the_running_system_and_none_of_the_callers(
    directory: RunDirectory,
) -> None:
    caller = {"REVIEW_DEFAULT": "approve", "PAYMENT_RETURN_URL": "https://shop.example/paid"}
    environment = process_environment(directory, PORTS, {**caller, "EDITOR": "vi"})
    made = settings_for(directory, PORTS, caller)
    run = {"env": commands_environment(made, environment, DECLARED), "settings": DECLARED}

    shell = {"REVIEW_DEFAULT": "escalate", "REVIEW_HOURS": "3", "PATH": "/usr/bin"}
    found = environment_of(run, shell)

    assert found["REVIEW_DEFAULT"] == "approve"
    assert found["PAYMENT_RETURN_URL"] == "https://shop.example/paid"
    assert "REVIEW_HOURS" not in found
    assert "EDITOR" not in found
    assert "SERVE" not in found
    assert found["PATH"] == "/usr/bin"
    assert found["DATABASE_URL"] == environment["DATABASE_URL"]


def test_a_run_asks_the_application_for_the_names_of_its_settings() -> None:
    assert declared_settings() == DECLARED
