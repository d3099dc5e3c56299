"""docs/api.md: every example in it is run, in order, and answers as is said there."""

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
    r"^```sh\n(?P<asked>.*?)^```$(?:\s+^```\n(?P<answered>.*?)^```$)?", re.MULTILINE | re.DOTALL
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
def test_every_example_of_the_guide_answers_as_it_says(
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

    answers = run([each["asked"] for each in examples], variables)

    assert len(examples) > 10
    for example, answer in zip(examples, answers, strict=True):
        if example["answered"] is not None:
            assert_is_as_said(answer, example["answered"], example["asked"])


def run(commands: list[str], variables: dict[str, str]) -> list[str]:
    """Run all in one shell, as a reader would; return what each wrote."""
    script = "".join(f"{each}\necho; echo '{END}'\n" for each in commands)
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


def assert_is_as_said(answer: str, said: str, asked: str) -> None:
    if not said.startswith("HTTP/"):
        assert answer.split() == said.split(), asked
        return
    status, headers, body = parts_of(answer)
    said_status, said_headers, said_body = parts_of(said)
    assert status.startswith(said_status), (asked, answer)
    for name, value in said_headers.items():
        assert matches(headers.get(name), value), (asked, name, headers)
    assert is_within(said_body, body), (asked, body)


def parts_of(answer: str) -> tuple[str, dict[str, str], Any]:
    """Take an answer apart: the line of its status, its headers, and its JSON."""
    status, *lines = answer.strip().splitlines()
    head = list(takewhile(lambda line: line and not line.startswith("{"), lines))
    headers = dict(line.split(": ", 1) for line in head)
    return status, headers, json.loads("\n".join(lines[len(head) :]) or "null")


def is_within(said: Any, found: Any) -> bool:
    """Whether everything that is said is found; what is not said may be anything."""
    match said, found:
        case dict(), dict():
            return all(name in found and is_within(said[name], found[name]) for name in said)
        case list(), list():
            return len(said) == len(found) and all(map(is_within, said, found))
        case str(), str():
            return matches(found, said)
        case _:
            return bool(said in (ANYTHING, found))


def matches(found: str | None, said: str) -> bool:
    pattern = ".*".join(map(re.escape, said.split(ANYTHING)))
    return found is not None and re.fullmatch(pattern, found) is not None
