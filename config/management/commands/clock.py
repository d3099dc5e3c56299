"""Shows the time by which orders and runs live, and moves it in a sandbox."""

import json
import math
import re
from argparse import ArgumentParser
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from clock import moving
from clock.moving import ClockFixed, TimeInThePast, sandbox_clock
from clock.now import now
from outbound.deadline import Deadline
from outbound.errors import NoAnswer
from outbound.http_transport import HttpTransport
from sagas.cli_types import duration, moment
from sagas.queries.counts import count_live

_LIVE_KEY: Final = re.compile(r"(?:^|[^A-Za-z0-9])[a-z]+_live_")
_HEADERS: Final = {"Content-Type": "application/json"}
_TIME_LIMIT: Final = timedelta(seconds=10)


class Command(BaseCommand):
    help = (
        "Show the time of orders and runs. In a sandbox, move it: what is due by then happens within"
        " seconds. Refused elsewhere: the database must have the sandbox's mark."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        commands.add_parser("show", help="the time, and how far it was moved; changes nothing")
        advance = commands.add_parser("advance", help="move the time forward")
        advance.add_argument("by", type=duration, help="such as 14d, 36h, 90m, 30s or 1d12h")
        move = commands.add_parser("set", help="move the time forward to a moment")
        move.add_argument("at", type=moment, help="such as 2026-12-24T18:00, in UTC")
        commands.add_parser("reset", help="return to the real time")

    def handle(self, *_: Any, command: str, **options: Any) -> None:
        if command != "show":
            _refuse_live_keys()
        try:
            match command:
                case "advance":
                    _advance_services(options["by"])
                    moving.advance(options["by"])
                case "set":
                    self._move_to(options["at"])
                case "reset":
                    self._reset()
            self._show()
        except (ClockFixed, TimeInThePast) as error:
            raise CommandError(f"Refused: {error}.") from None

    def _move_to(self, at: datetime) -> None:
        by = at - now()
        if by < timedelta():
            raise TimeInThePast(now())
        _advance_services(by)
        moving.move_to(at)

    def _reset(self) -> None:
        services = sandbox_clock().services
        moving.reset()
        if live := count_live():
            self.stdout.write(f"Live runs: {live}. They keep the times at which they wake.")
        if services:
            self.stdout.write("The clocks of the sandbox's services stay ahead.")

    def _show(self) -> None:
        self.stdout.write(f"{now().isoformat()} {_described()}")


def _described() -> str:
    try:
        moved_by = sandbox_clock().moved_by
    except ClockFixed:
        return "the real time, which cannot be moved here"
    return f"{moved_by} ahead of the real time" if moved_by else "the real time"


def _refuse_live_keys() -> None:
    """Raise CommandError if a secret of the settings is a live-mode key. Its value is not shown."""
    secrets = [
        variable.name
        for section in settings.CONFIGURATION
        for variable in section.variables
        if variable.is_secret
    ]
    if found := [name for name in secrets if _LIVE_KEY.search(str(getattr(settings, name, "")))]:
        raise CommandError(f"Refused: {', '.join(found)} holds a live-mode key.")


def _advance_services(by: timedelta) -> None:
    """Move the clocks of the sandbox's services. Raises ClockFixed, and CommandError."""
    transport = HttpTransport()
    body = json.dumps({"advance_seconds": math.ceil(by.total_seconds())})
    for address in sandbox_clock().services:
        try:
            response = transport.send(
                "POST", address, _HEADERS, body, deadline=Deadline.after(_TIME_LIMIT)
            )
        except NoAnswer as error:
            raise CommandError(f"{address} does not answer: {error}. No time was moved.") from None
        if response.status != HTTPStatus.OK:
            raise CommandError(f"{address} answered {response.status}. No time was moved.")
