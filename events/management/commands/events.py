"""``manage.py events``: the contract of events, and their relay."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Min

from events import catalogue, registry
from events.documents.asyncapi import asyncapi
from events.documents.page import page
from events.models import OutboxEvent, TransportPosition
from events.relay.positions import set_back
from events.relay.running import relay_until_stopped
from sagas.cli_types import moment


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
        again = commands.add_parser(
            "publish-again", help="publish everything since a time once more, with the same ids"
        )
        again.add_argument("--transport", required=True, help="such as redis")
        again.add_argument(
            "--since", type=moment, required=True, help="when the first one was recorded (UTC)"
        )
        again.add_argument("--dry-run", action="store_true", help="only count the events")
        for name in DOCUMENTS:
            commands.add_parser(name, help=f"print the {name} of all event types")

    def handle(self, *_: Any, command: str, **options: Any) -> None:
        match command:
            case "relay":
                relay_until_stopped()
            case "publish-again":
                self._publish_again(options["transport"], options["since"], options["dry_run"])
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

    def _publish_again(self, transport: str, since: datetime, dry_run: bool) -> None:  # noqa: FBT001
        position = TransportPosition.objects.filter(transport=transport).first()
        if position is None:
            raise CommandError(f"{transport} has never published an event")
        events = OutboxEvent.objects.filter(recorded_at__gte=since, number__gt=0)
        first = events.aggregate(first=Min("number"))["first"]
        count = events.filter(number__lte=position.number).count()
        if count and first is not None and not dry_run:
            set_back(transport, first - 1)
        done = "would be published again" if dry_run else "are published again by the relay"
        self.stdout.write(f"{count} events {done}, at most {settings.EVENTS_PER_SECOND} a second")
