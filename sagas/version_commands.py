"""The subcommands of ``manage.py sagas`` about versions of sagas."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol

from django.core.management.base import CommandError, OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder

from sagas import registry, shapes
from sagas.cli_types import whole_number
from sagas.dispatch import publisher
from sagas.queries.rehearsals import RehearsedRuns, rehearse_all
from sagas.queries.versions import LiveVersion, live_versions
from sagas.services import move_all_to_newest

TIME: Final = "%Y-%m-%d %H:%M:%S"


class Subcommands(Protocol):
    """What argparse returns for subcommands."""

    def add_parser(self, name: str, *, help: str) -> ArgumentParser: ...  # noqa: A002 - argparse's


def add_version_commands(commands: Subcommands) -> None:
    versions = commands.add_parser(
        "versions", help="every version of a saga, with its live runs by step; changes nothing"
    )
    versions.add_argument("--json", action="store_true", help="as JSON, for programs")
    move = commands.add_parser(
        "move",
        help="move the live runs of a saga to its newest version, where that takes them over",
    )
    names = sorted({saga.name for saga in registry.all_sagas()})
    move.add_argument("--saga", required=True, choices=names, help="the name of the saga")
    move.add_argument(
        "--limit", type=whole_number(1, 10_000_000), help="how many to move (default: all)"
    )
    move.add_argument("--dry-run", action="store_true", help="only show what would move")
    rehearse = commands.add_parser(
        "rehearse",
        help="what this code would do next with each live run; exit status 1 if it cannot advance"
        " some; changes nothing",
    )
    rehearse.add_argument("--json", action="store_true", help="as JSON, for programs")
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
        case "versions":
            _versions(stdout, as_json=options["json"])
        case "move":
            _move(options["saga"], options["limit"], stdout, dry_run=options["dry_run"])
        case "rehearse":
            _rehearse(stdout, as_json=options["json"])
        case "shapes":
            _shapes(options["check"], options["record"], stdout)


def _versions(stdout: OutputWrapper, *, as_json: bool) -> None:
    found = live_versions()
    if as_json:
        rows = [{**asdict(version), "runs": version.runs} for version in found]
        stdout.write(json.dumps({"versions": rows}, indent=2, cls=DjangoJSONEncoder))
        return
    for version in found:
        stdout.write("\n".join(_version_lines(version)))


def _version_lines(version: LiveVersion) -> Iterator[str]:
    known = "" if version.is_known else ", UNKNOWN TO THIS CODE"
    age = ", newest" if version.version == version.newest else ""
    oldest = f", oldest started {version.oldest_at:{TIME}} UTC" if version.oldest_at else ""
    yield f"{version.saga} version {version.version}{age}{known}: {version.runs} live runs{oldest}"
    for place in version.places:
        step = f"at {place.step}" if place.step else place.status
        waits = f", waits for {place.waits_for}" if place.waits_for else ""
        yield f"  {place.runs} {step}{waits}, oldest started {place.oldest_at:{TIME}} UTC"


def _move(saga: str, limit: int | None, stdout: OutputWrapper, *, dry_run: bool) -> None:
    report = move_all_to_newest(saga, limit=limit, dry_run=dry_run)
    publisher.flush()
    moved = "would be moved" if dry_run else "moved"
    stdout.write(f"{len(report.moved)} runs {moved} to version {registry.newest(saga).version}")
    for why, run_ids in report.stayed.items():
        step = f" at {why.step}" if why.step else ""
        text = f"of version {why.version}{step} stayed: {why.reason}, such as run {run_ids[0]}"
        stdout.write(f"{len(run_ids)} runs {text}")


def _rehearse(stdout: OutputWrapper, *, as_json: bool) -> None:
    groups = rehearse_all()
    stranded = sum(group.runs for group in groups if group.result.stranded)
    if as_json:
        rows = [{**asdict(group), "result": group.result._asdict()} for group in groups]
        shown = {"runs": sum(group.runs for group in groups), "stranded": stranded, "groups": rows}
        stdout.write(json.dumps(shown, indent=2, cls=DjangoJSONEncoder))
    else:
        for group in sorted(groups, key=lambda group: not group.result.stranded):
            stdout.write(_group_line(group))
        stdout.write(f"{sum(group.runs for group in groups)} live runs, {stranded} stranded")
    if stranded:
        raise CommandError(f"this code cannot advance {stranded} runs")


def _group_line(group: RehearsedRuns) -> str:
    step = f" at {group.step}" if group.step else f" {group.status}"
    head = f"{group.runs} of {group.saga} version {group.version}{step}"
    result = group.result
    if result.stranded:
        examples = ", ".join(map(str, group.examples))
        return f"STRANDED: {head}: {result.stranded}; such as {examples}"
    cancelled = f"; if cancelled: {result.if_cancelled}" if result.if_cancelled else ""
    return f"{head}: {result.next}{cancelled}"


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
