"""Check what must always be true. Exit status 1 on a finding, 2 when nobody knows."""

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
    read_provider,
    read_recent,
)
from sagas.cli_types import seconds

FOUND: Final = 1
NOBODY_KNOWS: Final = 2
USAGE: Final = 2
WITHOUT_TERMINAL: Final = 160
"""Columns of a table that goes into a file."""


class Command(BaseCommand):
    help = (
        "Is everything true that must be: money, stock, states, journal, outbox, and the bank both"
        " ways? Only reads, unless told to --record. Looks at what has not ended or moved in the last"
        " hour, or at everything (--full), and names what it left out. Exit status: 0 nothing found,"
        " 1 findings, 2 bank or database could not be asked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--full", action="store_true", help="every order that ever was")
        haste = parser.add_mutually_exclusive_group()
        haste.add_argument(
            "--at-rest",
            dest="progress",
            action="store_const",
            const=Progress.AT_REST,
            help="nothing is under way any more: whatever has not ended is a finding",
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
            help="how long the bank has to show what we have settled (default %(default)s)",
        )
        bank = parser.add_mutually_exclusive_group()
        bank.add_argument(
            "--statement",
            metavar="FILE",
            help="a JSON list of the bank's accounts, instead of asking the bank (- for stdin)",
        )
        bank.add_argument("--no-bank", action="store_true", help="leave the bank out")
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.add_argument(
            "--record",
            action="store_true",
            help="write findings down as breaks, and pause orders whose money is in doubt",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if options["record"] and options["statement"] is not None:
            raise CommandError(
                "a statement is not the bank: what it says is not recorded", returncode=USAGE
            )
        try:
            self._check(options)
        except (DatabaseError, InterfaceError) as error:
            # Not 1, which says that something was found.
            raise CommandError(f"Nobody knows: {error}", returncode=NOBODY_KNOWS) from error

    def _check(self, options: dict[str, Any]) -> None:
        silence = ""
        reading = None
        try:
            reading = _read(options)
        except PaymentError as error:
            silence = f"{type(error).__name__}: {error}"
        report = check(
            bank=reading,
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
            sys.exit(NOBODY_KNOWS)

    def _show(self, report: Report, silence: str) -> None:
        is_terminal = self.stdout.isatty()
        # Not straight to the standard output: when nobody reads on, rich would end the process.
        said = StringIO()
        console = Console(
            file=said,
            force_terminal=is_terminal,
            width=None if is_terminal else WITHOUT_TERMINAL,
            # Subjects may be words of the bank's.
            markup=False,
            emoji=False,
        )
        _print(console, report, silence)
        self.stdout.write(said.getvalue(), ending="")


def _print(console: Console, report: Report, silence: str) -> None:
    summary = Table("account", "what was looked at")
    summary.add_row("orders", f"{_in_words(report.orders)}{_scope_in_words(report)}")
    summary.add_row("payments", _in_words(report.payments))
    summary.add_row("bank", _provider_in_words(report.bank, silence))
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
    """Read the bank as it was asked for, before our own snapshot."""
    if options["no_bank"]:
        return None
    if options["statement"] is not None:
        return ProviderReading(_stated(options["statement"]), read_at=database_now())
    return read_provider() if options["full"] else read_recent(RECENT)


def _stated(file: str) -> list[ProviderBalance]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        return TypeAdapter(list[ProviderBalance]).validate_json(text)
    except (OSError, ValueError) as error:  # pydantic's are ValueErrors
        raise CommandError(f"--statement: {error}", returncode=USAGE) from error


def _as_json(report: Report, silence: str) -> dict[str, object]:
    bank = report.bank
    since = bank.complete_since if bank else None
    return {
        "everything": report.looked_at is None,
        "orders": report.orders,
        "payments": report.payments,
        "bank": {
            "compared": bank is not None,
            "problem": silence,
            "complete_since": since.isoformat() if since else None,
            "intents": len(bank.accounts) if bank else None,
            "net_minor": _net_minor(bank) if bank else None,
        },
        "invariants": {
            "asked": len(report.checked),
            "of": len(INVARIANTS),
            "left_out": report.left_out,
        },
        "findings": [asdict(each) for each in report.findings],
        "seconds": round(report.seconds, 3),
    }


def _provider_in_words(bank: ProviderReading | None, silence: str) -> str:
    if bank is None:
        return f"NOT COMPARED: {silence or 'left out'}"
    since = bank.complete_since
    scope = f"; complete since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return f"{len(bank.accounts)} intents, {_net_minor(bank)} held or taken (minor units){scope}"


def _scope_in_words(report: Report) -> str:
    return (
        "" if report.looked_at is None else "; those that have not ended, or moved in the last hour"
    )


def _left_out(report: Report) -> Iterator[tuple[str, str]]:
    """The invariants that were not asked, or not in full, together with those that share the reason."""
    for why in LeftOut:
        codes = [code for code, reason in report.left_out.items() if reason is why]
        if codes:
            yield ", ".join(codes), why


def _verdict(report: Report, silence: str) -> str:
    asked = f"{len(report.checked)} of {len(INVARIANTS)} invariants, {report.seconds:.2f} s"
    if report.findings:
        return f"{len(report.findings)} findings; {asked}."
    if silence:
        return f"Nothing found in our own books, but the bank could not be asked; {asked}."
    if report.bank is None:
        return f"Nothing found in our own books; the bank was left out; {asked}."
    if report.looked_at is not None:
        return f"0 findings in what was looked at; {asked}. All of it: --full."
    return f"0 findings: no ghost charge, no lost order, no oversold stock; {asked}."


def _net_minor(bank: ProviderReading) -> int:
    return sum(each.net_minor for each in bank.accounts)


def _in_words(counts: dict[str, int]) -> str:
    """Every status with its count, and their sum."""
    listed = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{sum(counts.values())}: {listed}" if counts else "none"
