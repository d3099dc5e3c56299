"""Checks the invariants. Exit status 1 on a finding, 2 if the check could not be made."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Column, Table

from invariants.break_store import orders_with_breaks, record
from invariants.catalogue import INVARIANTS
from invariants.checking import EVERYTHING, GRACE, RECENT, LeftOut, Progress, Report, Scope, check
from payments.errors import PaymentError
from payments.provider_reconciliation import (
    ProviderBalance,
    ProviderReading,
    database_now,
    read_providers,
    read_recent,
)
from sagas.cli_types import seconds

FOUND: Final = 1
NOT_CHECKED: Final = 2
USAGE: Final = 2
WITHOUT_TERMINAL: Final = 160
"""Columns of a table that goes into a file."""


class Command(BaseCommand):
    help = (
        "Checks what must always be true of money, stock, states, journal and outbox, and compares"
        " our payments with the payment providers, both ways. Without --record it only reads. With"
        " --record it writes breaks and may pause orders. Covers the orders that have not ended or"
        " moved in the last hour, or with --full all orders, and names what it left out. Exit"
        " status: 0 no finding, 1 findings, 2 a provider or the database did not answer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--full",
            action="store_true",
            help="check all orders, and read all of the providers' history",
        )
        haste = parser.add_mutually_exclusive_group()
        haste.add_argument(
            "--at-rest",
            dest="progress",
            action="store_const",
            const=Progress.AT_REST,
            help="nothing is under way any more: an order that has not ended is a finding",
        )
        haste.add_argument(
            "--safety",
            dest="progress",
            action="store_const",
            const=Progress.SOMETIME,
            help="lateness is no finding, as in an outage: only what must never be is one",
        )
        parser.set_defaults(progress=Progress.ON_TIME)
        parser.add_argument(
            "--grace",
            type=seconds(),
            default=GRACE.total_seconds(),
            metavar="SECONDS",
            help="how long ago we must have settled a payment to compare it (default %(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.add_argument(
            "--record",
            action="store_true",
            help="write findings as breaks, and pause orders whose money is in doubt",
        )
        self._add_provider_arguments(parser)

    def _add_provider_arguments(self, parser: ArgumentParser) -> None:
        side = parser.add_mutually_exclusive_group()
        side.add_argument(
            "--statement",
            metavar="FILE",
            help="a JSON list of the providers' payments, instead of reading them (- for stdin)",
        )
        side.add_argument(
            "--no-provider", action="store_true", help="do not compare with the payment providers"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if options["record"] and options["statement"] is not None:
            raise CommandError(
                "--record needs a reading of the providers: findings by a statement are not recorded",
                returncode=USAGE,
            )
        try:
            self._check(options)
        except (DatabaseError, InterfaceError) as error:
            # Not 1, which says that something was found.
            raise CommandError(f"Not checked: {error}", returncode=NOT_CHECKED) from error

    def _check(self, options: dict[str, Any]) -> None:
        silence = ""
        reading = None
        try:
            reading = _read(options)
        except PaymentError as error:
            silence = f"{type(error).__name__}: {error}"
        report = check(
            reading=reading,
            scope=EVERYTHING if options["full"] else _lately(),
            grace=timedelta(seconds=options["grace"]),
            progress=options["progress"],
        )
        if options["record"]:
            record(report)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(report, silence), indent=2))
        else:
            self._show(report, silence)
        if report.findings:
            sys.exit(FOUND)
        if silence:
            sys.exit(NOT_CHECKED)

    def _show(self, report: Report, silence: str) -> None:
        is_terminal = self.stdout.isatty()
        # Not straight to the standard output: rich ends the process if the reader is gone.
        said = StringIO()
        console = Console(
            file=said,
            force_terminal=is_terminal,
            width=None if is_terminal else WITHOUT_TERMINAL,
            # Subjects may be texts of a provider's.
            markup=False,
            emoji=False,
        )
        _print(console, report, silence)
        self.stdout.write(said.getvalue(), ending="")


def _print(console: Console, report: Report, silence: str) -> None:
    summary = Table("what", "checked")
    summary.add_row("orders", f"{_in_words(report.orders)}{_scope_in_words(report)}")
    summary.add_row("payments", _in_words(report.payments))
    summary.add_row("providers", _provider_in_words(report.reading, silence))
    console.print(summary)
    if report.findings:
        # Ids are there to be copied: whole, on one line.
        subject = Column("subject", no_wrap=True)
        table = Table("invariant", "kind", subject, Column("detail", overflow="fold"))
        for each in report.findings:
            table.add_row(each.code, each.kind, each.subject, each.detail)
        console.print(table)
        sentences = {each.code: each.sentence for each in INVARIANTS}
        for code in sorted({each.code for each in report.findings}):
            console.print(f"{code}: {sentences[code]}", soft_wrap=True)
    for codes, why in _left_out(report):
        console.print(f"{codes}: {why}", soft_wrap=True)
    console.print(_verdict(report, silence), soft_wrap=True)


def _lately() -> Scope:
    return Scope(changed_within=RECENT, orders=orders_with_breaks())


def _read(options: dict[str, Any]) -> ProviderReading | None:
    """Read the providers as the options say, before our own snapshot."""
    if options["no_provider"]:
        return None
    if options["statement"] is not None:
        return ProviderReading(_stated(options["statement"]), read_at=database_now())
    return read_providers() if options["full"] else read_recent(RECENT)


def _stated(file: str) -> list[ProviderBalance]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        return TypeAdapter(list[ProviderBalance]).validate_json(text)
    except (OSError, ValueError) as error:  # pydantic's are ValueErrors
        raise CommandError(f"--statement: {error}", returncode=USAGE) from error


def _as_json(report: Report, silence: str) -> dict[str, object]:
    reading = report.reading
    since = reading.complete_since if reading else None
    return {
        "everything": report.looked_at is None,
        "orders": report.orders,
        "payments": report.payments,
        "provider": {
            "compared": reading is not None,
            "problem": silence,
            "complete_since": since.isoformat() if since else None,
            "payments": len(reading.balances) if reading else None,
            "net_minor": _net_minor(reading) if reading else None,
        },
        "invariants": {
            "checked": len(report.checked),
            "of": len(INVARIANTS),
            "left_out": report.left_out,
        },
        "findings": [asdict(each) for each in report.findings],
        "seconds": round(report.seconds, 3),
    }


def _provider_in_words(reading: ProviderReading | None, silence: str) -> str:
    if reading is None:
        return f"NOT COMPARED: {silence or 'left out'}"
    since = reading.complete_since
    scope = f"; complete since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    count = len(reading.balances)
    return f"{count} payments, {_net_minor(reading)} held or captured (minor units){scope}"


def _scope_in_words(report: Report) -> str:
    return (
        "" if report.looked_at is None else "; those that have not ended, or moved in the last hour"
    )


def _left_out(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the codes that were not checked, or not in full, grouped by their reason."""
    for why in LeftOut:
        codes = [code for code, reason in report.left_out.items() if reason is why]
        if codes:
            yield ", ".join(codes), why


def _verdict(report: Report, silence: str) -> str:
    asked = f"{len(report.checked)} of {len(INVARIANTS)} invariants, {report.seconds:.2f} s"
    if report.findings:
        return f"{len(report.findings)} findings; {asked}."
    if silence:
        return f"Nothing found in our own books, but a payment provider did not answer; {asked}."
    if report.reading is None:
        return f"Nothing found in our own books; the payment providers were not compared; {asked}."
    if report.looked_at is not None:
        return f"0 findings in what was looked at; {asked}. All of it: --full."
    return f"0 findings: no ghost charge, no lost order, no oversold stock; {asked}."


def _net_minor(reading: ProviderReading) -> int:
    return sum(balance.net_minor for balance in reading.balances)


def _in_words(counts: dict[str, int]) -> str:
    """Return every status with its count, and their sum."""
    listed = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{sum(counts.values())}: {listed}" if counts else "none"
