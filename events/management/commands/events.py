"""``manage.py events``: the contract of events, and their relay."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml
from django.core.management.base import BaseCommand, CommandError

from events import catalogue, registry
from events.documents.asyncapi import asyncapi
from events.documents.page import page
from events.relay.running import relay_until_stopped


def _asyncapi_text() -> str:
    return yaml.safe_dump(asyncapi(registry.payloads()), sort_keys=False, allow_unicode=True)


def _page_text() -> str:
    return page(registry.payloads())


DOCUMENTS: Final[dict[str, Callable[[], str]]] = {
    "asyncapi": _asyncapi_text,
    "page": _page_text,
}


class Command(BaseCommand):
    help = "What programs outside may rely on: event types, and their documents."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        shown = commands.add_parser(
            "catalogue",
            help="the schemas of all event types; exit status 1 if the code differs from a file",
        )
        action = shown.add_mutually_exclusive_group()
        action.add_argument("--check", type=Path, metavar="FILE", help="compare with the file")
        action.add_argument(
            "--record", type=Path, metavar="FILE", help="write the file, if no reader breaks"
        )
        commands.add_parser("relay", help="publish events until stopped; any number may run")
        for name in DOCUMENTS:
            commands.add_parser(name, help=f"print the {name} of all event types")

    def handle(self, *_: Any, command: str, **options: Any) -> None:
        match command:
            case "relay":
                relay_until_stopped()
            case "catalogue":
                self._catalogue(options["check"], options["record"])
            case _:
                self.stdout.write(DOCUMENTS[command](), ending="")

    def _catalogue(self, check: Path | None, record: Path | None) -> None:
        present = catalogue.catalogue_of(registry.payloads())
        path = check or record
        if path is None:
            self.stdout.write(catalogue.as_text(present), ending="")
            return
        recorded = json.loads(path.read_text()) if path.exists() else {}
        found = list(catalogue.breaking_changes(recorded, present))
        if check:
            others = catalogue.other_changes(recorded, present)
            found += [f"{change}; run `make events`" for change in others]
        if found:
            raise CommandError("\n".join(found))
        if record:
            path.write_text(catalogue.as_text(present))
