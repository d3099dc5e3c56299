"""Compare orders, payments and stock with the bank; exit status 1 if something disagrees."""

import json
import sys
from argparse import ArgumentParser, FileType
from dataclasses import asdict
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Column, Table

from orders.accounts import Accounts, compare
from payments.accounts import BankAccount, bank_accounts
from payments.errors import PaymentError


class Command(BaseCommand):
    help = (
        "Do the three accounts (orders, payments, bank) and the stock agree? Reads only; orders"
        " that are under way show up as not ended (see: manage.py sagas rest)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--statement",
            type=FileType("r"),
            help="a JSON list of the bank's accounts, instead of asking the bank (- for stdin)",
        )
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            if options["statement"] is not None:
                bank = [BankAccount(**each) for each in json.load(options["statement"])]
            else:
                bank = list(bank_accounts())
        except PaymentError as error:
            raise CommandError(f"the bank does not answer: {error}") from error
        accounts = compare(bank)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(accounts), indent=2))
        else:
            self._show(accounts)
        if accounts.findings:
            sys.exit(1)

    def _show(self, accounts: Accounts) -> None:
        console = Console(file=cast(IO[str], self.stdout))
        summary = Table("account", "what it says")
        summary.add_row("orders", _in_words(accounts.orders))
        summary.add_row("payments", _in_words(accounts.payments))
        summary.add_row(
            "bank", f"{accounts.intents} intents, {accounts.net_minor} held or taken (minor units)"
        )
        console.print(summary)
        if not accounts.findings:
            console.print("All accounts agree: no ghost charge, no lost order, no oversold stock.")
            return
        # Folded, never cut: ids are there to be copied.
        table = Table("finding", Column("subject", overflow="fold"), "detail")
        for each in accounts.findings:
            table.add_row(each.kind, each.subject, each.detail)
        console.print(table)


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none"
