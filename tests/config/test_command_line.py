"""Every command with wrong arguments, and while the database is down.

New commands are found automatically: their parsers give the smallest valid arguments.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from sagas.cli_types import duration, moment
from tests.support.source_files import APPLICATION, ROOT

PASSWORD: Final = "hunter2-and-more"
UNREACHABLE_DATABASE: Final = f"postgres://shop:{PASSWORD}@127.0.0.1:9/holdfast"

WAIT_FOR_DATABASE: Final = {("sagas", "watch"), ("events", "relay"), ("serve_metrics",)}
"""These commands wait until the database is back."""

NEED_NO_DATABASE: Final = {
    ("describe_problems",),
    ("describe_settings",),
    ("sagas", "shapes"),
    ("events", "catalogue"),
    ("events", "asyncapi"),
    ("events", "page"),
}

VALUES: Final = {
    UUID: "019aa3c0-5d2e-7c4a-9a53-7f0c7a1e6b11",
    duration: "14d",
    moment: "2100-01-01T06:00",
}
"""A valid value for each type of an argument that does not accept any text."""


def own_commands() -> dict[str, BaseCommand]:
    return {
        name: load_command_class(app, name)
        for name, app in sorted(get_commands().items())
        if app in APPLICATION
    }


def parser_of(name: str, command: BaseCommand) -> ArgumentParser:
    return command.create_parser("manage.py", name)


def smallest_arguments(parser: ArgumentParser) -> Iterator[list[str]]:
    """Yield the smallest valid arguments, once for each subcommand."""
    own = [word for action in parser._actions if action.required for word in _words(action)]
    (choices,) = [action.choices for action in parser._actions if isinstance(action, _SubParsersAction)] or [{}]  # fmt: skip
    for name, subparser in choices.items():
        yield from ([*own, name, *rest] for rest in smallest_arguments(subparser))
    if not choices:
        yield own


def _words(action: Action) -> Sequence[str]:
    if isinstance(action, _SubParsersAction):
        return ()
    value = VALUES.get(action.type, "x")
    value = str(next(iter(action.choices))) if action.choices else value
    return [action.option_strings[0], value] if action.option_strings else [value]


CALLS: Final = [
    [name, *arguments]
    for name, command in own_commands().items()
    for arguments in smallest_arguments(parser_of(name, command))
]


def run_all(calls: list[list[str]]) -> list[tuple[int, str, str]]:
    process = subprocess.run(
        [sys.executable, "-m", "tests.support.command_runner"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": UNREACHABLE_DATABASE},
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=True,
    )
    return [(status, out, error) for status, out, error in json.loads(process.stdout)]


def test_every_command_is_found() -> None:
    files = [path for app in APPLICATION for path in (ROOT / app).glob("management/commands/*.py")]

    names = {path.stem for path in files} - {"__init__"}

    assert {call[0] for call in CALLS} == names
    assert {"sagas", "orders", "create_token"} <= names


def test_without_a_database_each_command_fails_with_one_line() -> None:
    calls = [
        arguments
        for arguments in CALLS
        if not WAIT_FOR_DATABASE & {tuple(arguments[:1]), tuple(arguments[:2])}
    ]
    assert len(calls) == len(CALLS) - len(WAIT_FOR_DATABASE)

    for call, (status, out, error) in zip(calls, run_all(calls), strict=True):
        details = f"{call}: {status}\n{out}\n{error}"
        if tuple(call) in NEED_NO_DATABASE:
            assert (status, error) == (0, ""), details
            continue
        # For check_invariants, 1 means that breaks were found.
        assert status == (2 if call[0] == "check_invariants" else 1), details
        assert out == "", details
        assert error.startswith(("Database: ", "CommandError: Not checked: ")), details
        assert "Connection refused" in error.splitlines()[0], details
        assert "Traceback" not in error, details
        assert PASSWORD not in error, details


def test_an_unknown_argument_is_wrong_usage() -> None:
    calls = [[*arguments, "--no-such-option"] for arguments in CALLS]

    for call, (status, out, error) in zip(calls, run_all(calls), strict=True):
        last = error.splitlines()[-1]
        assert (status, out) == (2, ""), (call, error)
        assert last.endswith("error: unrecognized arguments: --no-such-option"), (call, error)
        assert "Traceback" not in error


@pytest.mark.parametrize("name", own_commands())
def test_every_command_and_argument_has_a_help_text(name: str) -> None:
    command = own_commands()[name]
    django = {action.dest for action in BaseCommand().create_parser("manage.py", name)._actions}

    def arguments(parser: ArgumentParser) -> Iterator[tuple[str, str | None]]:
        for action in parser._actions:
            if isinstance(action, _SubParsersAction):
                yield from ((choice.dest, choice.help) for choice in action._choices_actions)
                for subparser in action.choices.values():
                    yield from arguments(subparser)
            elif action.dest not in django:
                yield action.dest, action.help

    assert len(command.help) > 60
    assert [dest for dest, text in arguments(parser_of(name, command)) if not text] == []


def manage(*arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={name: value for name, value in given.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_variable_is_named_in_one_line() -> None:
    process = manage("list_tokens", SECRET_KEY=None)

    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr == "Configuration: Set the SECRET_KEY environment variable\n"


def test_with_the_option_traceback_the_traceback_is_shown() -> None:
    process = manage("list_tokens", "--traceback", DATABASE_URL=UNREACHABLE_DATABASE)

    assert process.returncode == 1
    assert "Traceback" in process.stderr
    assert "OperationalError" in process.stderr


def test_a_closed_pipe_ends_a_command_silently() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    process = subprocess.run(
        [sys.executable, "manage.py", "describe_settings"],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert (process.returncode, process.stderr) == (128 + 13, "")


def commands_in_runbooks() -> set[tuple[str, str]]:
    """Return each ``manage.py …`` in the README and the runbooks, with its page."""
    pages = [ROOT / "README.md", *(ROOT / "docs" / "runbooks").glob("*.md")]
    return {
        (page.name, written)
        for page in pages
        for written in re.findall(r"`manage\.py ([^`…][^`]*)`", page.read_text())
    }


def test_commands_in_runbooks_parse() -> None:
    commands, found = own_commands(), commands_in_runbooks()

    for _, written in found:
        name, *words = shlex.split(written)
        parser_of(name, commands[name]).parse_args(words)

    assert {
        ("stalled-saga.md", 'orders retry ORDER --reason "…"'),
        ("broker-lost.md", "check_worker --queue checkout"),
        ("README.md", "check_invariants"),
    } <= found
