"""A service in the sandbox's table runs in every test that has the sandbox, and its setting is set."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import pytest
from django.conf import settings

from outbound.deadline import Deadline
from outbound.service import OutsideService
from sandbox.outside_service.services import SERVICES
from sandbox.stripe_process import SandboxServer
from tests.support.application_environment import environment_for
from tests.support.outside_services import OutsideServices


@pytest.fixture(scope="module", autouse=True)
def _declared() -> Iterator[None]:
    """A service without rules in the table."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setitem(SERVICES, "letters", [])
        yield


def letters_url() -> str:
    return str(getattr(settings, "LETTERS_URL"))  # noqa: B009 - only the fixture sets it


def post_letter() -> object:
    letters = OutsideService("letters", base_url=letters_url)
    deadline = Deadline.after(timedelta(seconds=30))
    return letters.post("post", "/letters", {"to": "alice"}, key="key-1", deadline=deadline)


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_finds_a_declared_service_running_and_empty(
    sandbox_stripe: SandboxServer, outside_services: OutsideServices, time: str
) -> None:
    service = outside_services.running["letters"]
    assert service.acts() == []

    assert post_letter() == {"status": "ok"}

    assert [act["request"] for act in service.acts()] == [{"to": "alice"}]


@pytest.fixture(scope="module")
def environment(
    _declared: None, django_db_setup: None, sandbox: SandboxServer
) -> Mapping[str, str]:
    """The environment of a process that a fixture of a module starts."""
    return environment_for(sandbox)


def test_other_processes_get_the_address_of_a_declared_service(
    environment: Mapping[str, str], outside_services: OutsideServices
) -> None:
    assert environment["LETTERS_URL"] == outside_services.running["letters"].url
    assert letters_url() == outside_services.running["letters"].url
