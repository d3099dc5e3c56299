"""Every command of ours, as somebody meets it who mistypes, or comes while the database is away.

A new command is found by itself: its parser says what the least is that it takes.
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

from tests.support.source_files import APPLICATION, ROOT

PASSWORD: Final = "hunter2-and-more"
NOBODY_LISTENS: Final = f"postgres://shop:{PASSWORD}@127.0.0.1:9/holdfast"

GO_ON_WITHOUT: Final = {("sagas", "watch"), ("serve_metrics",)}
"""They wait for the database to come back."""

NEED_NONE: Final = {("describe_problems",), ("describe_settings",)}


def commands_of_ours() -> dict[str, BaseCommand]:
    return {
        name: load_command_class(app, name)
        for name, app in sorted(get_commands().items())
        if app in APPLICATION
    }


def parser_of(name: str, command: BaseCommand) -> ArgumentParser:
    return command.create_parser("manage.py", name)


def least(parser: ArgumentParser) -> Iterator[list[str]]:
    """The least that a parser takes, once for each of its subcommands."""
    own = [word for each in parser._actions if each.required for word in _words(each)]
    (choices,) = [each.choices for each in parser._actions if isinstance(each, _SubParsersAction)] or [{}]  # fmt: skip
    for name, below in choices.items():
        yield from ([*own, name, *rest] for rest in least(below))
    if not choices:
        yield own


def _words(action: Action) -> Sequence[str]:
    if isinstance(action, _SubParsersAction):
        return ()
    value = "x" if action.type is not UUID else "019aa3c0-5d2e-7c4a-9a53-7f0c7a1e6b11"
    value = str(next(iter(action.choices))) if action.choices else value
    return [action.option_strings[0], value] if action.option_strings else [value]


CALLS: Final = [
    [name, *arguments]
    for name, command in commands_of_ours().items()
    for arguments in least(parser_of(name, command))
]


def in_turn(calls: list[list[str]]) -> list[tuple[int, str, str]]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.command_runner"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": NOBODY_LISTENS},
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=True,
    )
    return [(status, out, error) for status, out, error in json.loads(ran.stdout)]


def test_every_command_is_found() -> None:
    files = [path for app in APPLICATION for path in (ROOT / app).glob("management/commands/*.py")]

    names = {path.stem for path in files} - {"__init__"}

    assert {call[0] for call in CALLS} == names
    assert {"sagas", "orders", "create_token"} <= names


def test_while_the_database_is_away_each_command_says_so_in_a_line() -> None:
    calls = [each for each in CALLS if not GO_ON_WITHOUT & {tuple(each[:1]), tuple(each[:2])}]
    assert len(calls) == len(CALLS) - len(GO_ON_WITHOUT)

    for call, (status, out, error) in zip(calls, in_turn(calls), strict=True):
        said = f"{call}: {status}\n{out}\n{error}"
        if tuple(call) in NEED_NONE:
            assert (status, error) == (0, ""), said
            continue
        # For check_invariants 1 means that something was found.
        assert status == (2 if call[0] == "check_invariants" else 1), said
        assert out == "", said
        assert error.startswith(("Database: ", "CommandError: Not checked: ")), said
        assert "Connection refused" in error.splitlines()[0], said
        assert "Traceback" not in error, said
        assert PASSWORD not in error, said


def test_an_argument_that_there_is_not_is_a_mistake_of_whoever_typed_it() -> None:
    calls = [[*each, "--no-such-option"] for each in CALLS]

    for call, (status, out, error) in zip(calls, in_turn(calls), strict=True):
        last = error.splitlines()[-1]
        assert (status, out) == (2, ""), (call, error)
        assert last.endswith("error: unrecognized arguments: --no-such-option"), (call, error)
        assert "Traceback" not in error


@pytest.mark.parametrize("name", commands_of_ours())
def test_every_command_and_argument_says_what_it_is_for(name: str) -> None:
    command = commands_of_ours()[name]
    django = {each.dest for each in BaseCommand().create_parser("manage.py", name)._actions}

    def arguments(parser: ArgumentParser) -> Iterator[tuple[str, str | None]]:
        for each in parser._actions:
            if isinstance(each, _SubParsersAction):
                yield from ((one.dest, one.help) for one in each._choices_actions)
                for below in each.choices.values():
                    yield from arguments(below)
            elif each.dest not in django:
                yield each.dest, each.help

    assert len(command.help) > 60
    assert [dest for dest, told in arguments(parser_of(name, command)) if not told] == []


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


def test_a_variable_that_is_missing_is_named_in_a_line() -> None:
    ran = manage("list_tokens", SECRET_KEY=None)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "Configuration: Set the SECRET_KEY environment variable\n"


def test_with_traceback_nothing_is_left_out() -> None:
    ran = manage("list_tokens", "--traceback", DATABASE_URL=NOBODY_LISTENS)

    assert ran.returncode == 1
    assert "Traceback" in ran.stderr
    assert "OperationalError" in ran.stderr


def test_a_reader_who_has_gone_ends_a_command_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    ran = subprocess.run(
        [sys.executable, "manage.py", "describe_settings"],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert (ran.returncode, ran.stderr) == (128 + 13, "")


def commands_in_runbooks() -> set[tuple[str, str]]:
    """Each page with each ``manage.py …`` that somebody will paste from it."""
    pages = [ROOT / "README.md", *(ROOT / "docs" / "runbooks").glob("*.md")]
    return {
        (page.name, written)
        for page in pages
        for written in re.findall(r"`manage\.py ([^`…][^`]*)`", page.read_text())
    }


def test_every_command_of_a_runbook_is_understood_as_it_is_written() -> None:
    commands, found = commands_of_ours(), commands_in_runbooks()

    for _, written in found:
        name, *words = shlex.split(written)
        parser_of(name, commands[name]).parse_args(words)

    assert {
        ("stalled-saga.md", 'orders retry ORDER --reason "…"'),
        ("broker-lost.md", "check_worker --queue checkout"),
        ("README.md", "check_invariants"),
    } <= found
