"""``manage.py check_invariants``: exit status 1 on a finding, 2 if the check could not be made."""

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

from clock.now import now
from invariants.break_store import orders_with_breaks, record
from invariants.catalogue import INVARIANTS
from invariants.checking import (
    ALL_ORDERS,
    GRACE,
    RECENT,
    CheckReport,
    LeftOut,
    OrderScope,
    Strictness,
    check,
)
from payments.errors import PaymentError
from payments.provider_reconciliation import (
    ProviderPaymentState,
    ProviderReading,
    read_providers,
    read_recent,
)
from sagas.cli_types import seconds

FOUND: Final = 1
NOT_CHECKED: Final = 2
USAGE: Final = 2
WITHOUT_TERMINAL: Final = 160
"""The width in columns of a table that goes to a file."""


class Command(BaseCommand):
    help = (
        "Checks what must always be true of money, stock, states, journal and outbox, and compares"
        " our payments with the payment providers, in both directions. Without --record it only reads. With"
        " --record it writes breaks and may pause orders. Covers the orders that are under way or"
        " moved in the last hour; with --full, all orders. Names what it left out. Exit"
        " status: 0 no finding, 1 findings, 2 a provider or the database did not answer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--full",
            action="store_true",
            help="check all orders, and read all of the providers' history",
        )
        strictness = parser.add_mutually_exclusive_group()
        strictness.add_argument(
            "--at-rest",
            dest="strictness",
            action="store_const",
            const=Strictness.AT_REST,
            help="for a system without work under way: an order that has not ended is a finding",
        )
        strictness.add_argument(
            "--safety",
            dest="strictness",
            action="store_const",
            const=Strictness.SAFETY_ONLY,
            help="for an outage: lateness is no finding, only what must never happen",
        )
        parser.set_defaults(strictness=Strictness.ON_TIME)
        parser.add_argument(
            "--grace",
            type=seconds(),
            default=GRACE.total_seconds(),
            metavar="SECONDS",
            help="compare a payment once our database settled it this long ago (default %(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON for programs")
        parser.add_argument(
            "--record",
            action="store_true",
            help="store findings as breaks, and pause orders whose money is in doubt",
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
                "--record reads the providers itself: it cannot be used with --statement",
                returncode=USAGE,
            )
        try:
            self._check(options)
        except (DatabaseError, InterfaceError) as error:
            # Not 1: that means a finding.
            raise CommandError(f"Not checked: {error}", returncode=NOT_CHECKED) from error

    def _check(self, options: dict[str, Any]) -> None:
        provider_error = ""
        reading = None
        try:
            reading = _read(options)
        except PaymentError as error:
            provider_error = f"{type(error).__name__}: {error}"
        report = check(
            reading=reading,
            scope=ALL_ORDERS if options["full"] else _recent_scope(),
            grace=timedelta(seconds=options["grace"]),
            strictness=options["strictness"],
        )
        if options["record"]:
            record(report)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(report, provider_error), indent=2))
        else:
            self._show(report, provider_error)
        if report.findings:
            sys.exit(FOUND)
        if provider_error:
            sys.exit(NOT_CHECKED)

    def _show(self, report: CheckReport, provider_error: str) -> None:
        is_terminal = self.stdout.isatty()
        # Not straight to the standard output: rich ends the process if the pipe's reader is gone.
        printed = StringIO()
        console = Console(
            file=printed,
            force_terminal=is_terminal,
            width=None if is_terminal else WITHOUT_TERMINAL,
            # A subject may be a provider's text, so rich must not interpret it.
            markup=False,
            emoji=False,
        )
        _print(console, report, provider_error)
        self.stdout.write(printed.getvalue(), ending="")


def _print(console: Console, report: CheckReport, provider_error: str) -> None:
    summary = Table("what", "checked")
    summary.add_row("orders", f"{_in_words(report.orders)}{_scope_in_words(report)}")
    summary.add_row("payments", _in_words(report.payments))
    summary.add_row("providers", _provider_in_words(report.reading, provider_error))
    console.print(summary)
    if report.findings:
        # Ids are for copying: whole, on one line.
        subject = Column("subject", no_wrap=True)
        table = Table("invariant", "kind", subject, Column("detail", overflow="fold"))
        for finding in report.findings:
            table.add_row(finding.code, finding.kind, finding.subject, finding.detail)
        console.print(table)
        sentences = {invariant.code: invariant.sentence for invariant in INVARIANTS}
        for code in sorted({finding.code for finding in report.findings}):
            console.print(f"{code}: {sentences[code]}", soft_wrap=True)
    for codes, why in _left_out(report):
        console.print(f"{codes}: {why}", soft_wrap=True)
    console.print(_conclusion(report, provider_error), soft_wrap=True)


def _recent_scope() -> OrderScope:
    return OrderScope(changed_within=RECENT, orders=orders_with_breaks())


def _read(options: dict[str, Any]) -> ProviderReading | None:
    """Read the providers as the options say, before our own snapshot."""
    if options["no_provider"]:
        return None
    if options["statement"] is not None:
        return ProviderReading(_read_statement(options["statement"]), read_at=now())
    return read_providers() if options["full"] else read_recent(RECENT)


def _read_statement(file: str) -> list[ProviderPaymentState]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        return TypeAdapter(list[ProviderPaymentState]).validate_json(text)
    except (OSError, ValueError) as error:  # pydantic's errors are ValueErrors
        raise CommandError(f"--statement: {error}", returncode=USAGE) from error


def _as_json(report: CheckReport, provider_error: str) -> dict[str, object]:
    reading = report.reading
    since = reading.complete_since if reading else None
    return {
        "everything": report.checked_orders is None,
        "orders": report.orders,
        "payments": report.payments,
        "provider": {
            "compared": reading is not None,
            "problem": provider_error,
            "complete_since": since.isoformat() if since else None,
            "payments": len(reading.payments) if reading else None,
            "net_minor": _net_minor(reading) if reading else None,
        },
        "invariants": {
            "checked": len(report.checked_codes),
            "of": len(INVARIANTS),
            "left_out": report.left_out,
        },
        "findings": [asdict(finding) for finding in report.findings],
        "seconds": round(report.seconds, 3),
    }


def _provider_in_words(reading: ProviderReading | None, provider_error: str) -> str:
    if reading is None:
        return f"NOT COMPARED: {provider_error or 'left out'}"
    since = reading.complete_since
    scope = f"; complete since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    count = len(reading.payments)
    return f"{count} payments, {_net_minor(reading)} held or captured (minor units){scope}"


def _scope_in_words(report: CheckReport) -> str:
    return (
        ""
        if report.checked_orders is None
        else "; only orders that are under way, or moved in the last hour"
    )


def _left_out(report: CheckReport) -> Iterator[tuple[str, str]]:
    """Yield the codes that were not checked, or not in full, by reason."""
    for why in LeftOut:
        codes = [code for code, reason in report.left_out.items() if reason is why]
        if codes:
            yield ", ".join(codes), why


def _conclusion(report: CheckReport, provider_error: str) -> str:
    checked = f"{len(report.checked_codes)} of {len(INVARIANTS)} invariants, {report.seconds:.2f} s"
    if report.findings:
        return f"{len(report.findings)} findings; {checked}."
    if provider_error:
        return (
            f"Nothing found in our own database, but a payment provider did not answer; {checked}."
        )
    if report.reading is None:
        return f"Nothing found in our own database; the payment providers were not compared; {checked}."
    if report.checked_orders is not None:
        return f"0 findings in these orders; {checked}. Use --full to check all orders."
    return f"0 findings: no ghost charge, no lost order, no oversold stock; {checked}."


def _net_minor(reading: ProviderReading) -> int:
    return sum(state.net_minor for state in reading.payments)


def _in_words(counts: dict[str, int]) -> str:
    """Return the sum, then each status with its count."""
    listed = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{sum(counts.values())}: {listed}" if counts else "none"
