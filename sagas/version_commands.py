"""The subcommands of ``manage.py sagas`` about versions of sagas."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from django.core.management.base import CommandError, OutputWrapper

from sagas import registry, shapes


class Subcommands(Protocol):
    """What argparse returns for subcommands."""

    def add_parser(self, name: str, *, help: str) -> ArgumentParser: ...  # noqa: A002 - argparse's


def add_version_commands(commands: Subcommands) -> None:
    shown = commands.add_parser(
        "shapes",
        help="what must not change under one version of a saga; exit status 1 if the code differs"
        " from a recorded file",
    )
    action = shown.add_mutually_exclusive_group()
    action.add_argument("--check", type=Path, metavar="FILE", help="compare the code with the file")
    action.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="add new versions to the file, and remove those that the code no longer has",
    )


def run_version_command(name: str, options: Mapping[str, Any], stdout: OutputWrapper) -> None:
    match name:
        case "shapes":
            _shapes(options["check"], options["record"], stdout)


def _shapes(check: Path | None, record: Path | None, stdout: OutputWrapper) -> None:
    present = shapes.shapes_of(registry.all_sagas())
    path = check or record
    if path is None:
        stdout.write(shapes.as_text(present), ending="")
        return
    recorded = json.loads(path.read_text()) if path.exists() else {}
    find = shapes.differences if check else shapes.changed_versions
    if found := list(find(recorded, present)):
        raise CommandError("\n".join(found))
    if record:
        for version in sorted(recorded.keys() - present.keys()):
            stdout.write(f"{version} is no longer in the code")
        path.write_text(shapes.as_text(present))
