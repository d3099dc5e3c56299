"""docs/api.md: every example is run, in order, and its response is the one in the guide."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from access.credentials import Scope
from access.models import ApiToken
from sandbox.procfile import ROOT
from sandbox.stripe_process import SandboxServer
from tests.support.production_processes import Installation
from tests.support.waits import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLE = re.compile(
    r"^```sh\n(?P<command>.*?)^```$(?:\s+^```\n(?P<response>.*?)^```$)?", re.MULTILINE | re.DOTALL
)
END = "--- end of an example ---"
ANYTHING = "…"


@pytest.fixture
def installation(sandbox: SandboxServer, customer: User, tmp_path: Any) -> Iterator[Installation]:
    running = Installation(sandbox, tmp_path)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.mark.destructive
def test_every_example_of_the_guide_gets_the_response_shown(
    installation: Installation, sandbox_stripe: SandboxServer, customer: User
) -> None:
    call_command("load_catalogue")
    shop = User.objects.create(username="shop")
    examples = list(EXAMPLE.finditer((ROOT / "docs" / "api.md").read_text()))
    variables = {
        "BASE": installation.url,
        "TOKEN": ApiToken.objects.issue(customer)[1],
        "SHOP_TOKEN": ApiToken.objects.issue(shop, scopes=list(Scope))[1],
    }

    responses = run([example["command"] for example in examples], variables)

    assert len(examples) > 10
    for example, response in zip(examples, responses, strict=True):
        if example["response"] is not None:
            assert_matches_guide(response, example["response"], example["command"])


def run(commands: list[str], variables: dict[str, str]) -> list[str]:
    """Run all commands in one shell, as a reader would; return the output of each."""
    script = "".join(f"{command}\necho; echo '{END}'\n" for command in commands)
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:]
    return done.stdout.replace("\r", "").split(END)[:-1]


def assert_matches_guide(response: str, shown: str, command: str) -> None:
    if not shown.startswith("HTTP/"):
        assert response.split() == shown.split(), command
        return
    status, headers, body = parts_of(response)
    shown_status, shown_headers, shown_body = parts_of(shown)
    assert status.startswith(shown_status), (command, response)
    for name, value in shown_headers.items():
        assert matches(headers.get(name), value), (command, name, headers)
    assert is_within(shown_body, body), (command, body)


def parts_of(response: str) -> tuple[str, dict[str, str], Any]:
    """Return a response's status line, headers and JSON."""
    status, *lines = response.strip().splitlines()
    head = list(takewhile(lambda line: line and not line.startswith("{"), lines))
    headers = dict(line.split(": ", 1) for line in head)
    return status, headers, json.loads("\n".join(lines[len(head) :]) or "null")


def is_within(shown: Any, found: Any) -> bool:
    """Return whether ``found`` has everything that is shown; other members may have any value."""
    match shown, found:
        case dict(), dict():
            return all(name in found and is_within(shown[name], found[name]) for name in shown)
        case list(), list():
            return len(shown) == len(found) and all(map(is_within, shown, found))
        case str(), str():
            return matches(found, shown)
        case _:
            return bool(shown in (ANYTHING, found))


def matches(found: str | None, shown: str) -> bool:
    pattern = ".*".join(map(re.escape, shown.split(ANYTHING)))
    return found is not None and re.fullmatch(pattern, found) is not None
