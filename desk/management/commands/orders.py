"""Shows one order's timeline in a shell, or acts on the order under the desk's rules."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from textwrap import fill
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from access.os_user import user_of_this_shell
from desk.action_forms import ACTION_TEXTS, ReasonForm
from desk.actions import SINGLE_ORDER_ACTIONS, ActionRequest, perform
from desk.audit_timeline import TimelineEntry, audit_timeline
from desk.models import ActionKind, ActionOutcome, OperatorAction
from desk.order_detail import OrderDetail, order_detail
from desk.order_list import customer_of
from desk.order_search import orders_named
from desk.order_state import order_state
from desk.run_diagram import next_step_sentence
from money.amounts import format_amount
from orders.models import Order
from sagas.identifiers import new_id

WIDTH: Final = 100
MAX_LISTED: Final = 10

ORDER_HELP: Final = (
    "an order's id or its beginning (8 characters or more), the id of one of its runs, the shop's"
    " reference, or a payment provider's id of a payment or a refund"
)


class Command(BaseCommand):
    help = (
        "Show one order's timeline, or act on the order under the desk's rules. The audit row names you"
        " as shell:NAME, with your name in the operating system. Only show changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        show = commands.add_parser("show", help="show the order's timeline, and what happens next")
        show.add_argument("order", help=ORDER_HELP)
        show.add_argument("--json", action="store_true", help="as JSON")
        for kind in SINGLE_ORDER_ACTIONS:
            text = ACTION_TEXTS[kind]
            act = commands.add_parser(
                kind.value, help=text.button.lower(), description=text.explanation
            )
            act.add_argument("order", help=ORDER_HELP)
            act.add_argument(
                "--reason",
                help="stored with your name; without it the command asks for it on a terminal",
            )

    def handle(self, *_: Any, command: str, order: str, **options: Any) -> None:
        found = _order_named(order)
        if command == "show":
            self._show(order_detail(found.pk), as_json=options["json"])
        else:
            self._act(ActionKind(command), found, options["reason"])

    def _act(self, kind: ActionKind, order: Order, reason: str | None) -> None:
        action = ActionRequest(
            kind, order.pk, user_of_this_shell(), self._reason(kind, order, reason), new_id()
        )
        try:
            row = perform(action)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise  # for example a broken connection: whether the action was done is unknown
            raise CommandError(
                "A worker has locked the order. Nothing was changed; try again."
            ) from error
        self._report(row)

    def _report(self, row: OperatorAction) -> None:
        label = ACTION_TEXTS[ActionKind(row.kind)].button
        if row.outcome == ActionOutcome.REFUSED:
            raise CommandError(f"{label} was refused: {row.message}")
        self.stdout.write(_wrapped(f"{label}: {row.message}"))
        self.stdout.write(f"order {row.order_id}, by {row.actor}")
        self.stdout.write(_wrapped(f"state: {row.after}"))

    def _reason(self, kind: ActionKind, order: Order, given: str | None) -> str:
        """Return a reason that the desk's form accepts; ask for it on a terminal."""
        if given is None:
            if not sys.stdin.isatty():
                raise CommandError(
                    "--reason is required; it is stored with your name", returncode=2
                )
            text = ACTION_TEXTS[kind]
            self.stdout.write(f"{text.button}: order {order.pk} of {customer_of(order)}")
            self.stdout.write(_wrapped(f"state: {order_state(order.pk).summary()}"))
            self.stdout.write(_wrapped(text.explanation))
            with suppress(EOFError):
                given = input(f"{text.reason_label}: ")
        form = ReasonForm({"reason": given or "", "token": new_id()})
        if not form.is_valid():
            raise CommandError(f"--reason: {form.errors['reason'][0]}", returncode=2)
        return str(form.cleaned_data["reason"])

    def _show(self, detail: OrderDetail, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(_as_json(detail), indent=2, cls=DjangoJSONEncoder))
        else:
            self.stdout.write("\n".join(_text(detail)))


def _order_named(term: str) -> Order:
    found = list(orders_named(term)[: MAX_LISTED + 1])
    if not found:
        raise CommandError(f"{term!r} matches no order. Give {ORDER_HELP}.")
    if len(found) > 1:
        listed = [f"  {order.pk}  {customer_of(order)}, {order.status}" for order in found]
        rest = ["  …"] if len(found) > MAX_LISTED else []
        lines = [f"{term!r} matches several orders:", *listed[:MAX_LISTED], *rest]
        raise CommandError("\n".join(lines))
    return found[0]


def _as_json(detail: OrderDetail) -> dict[str, object]:
    order = detail.order
    return {
        "id": order.pk,
        "status": order.status,
        "customer": customer_of(order),
        "reference": order.reference,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "created_at": order.created_at,
        "state": detail.state.summary(),
        "next": next_step_sentence(detail.state),
        "runs": [run.id for run in detail.state.runs],
        "timeline": [asdict(entry) for entry in audit_timeline(detail)],
    }


def _text(detail: OrderDetail) -> Iterator[str]:
    order, state = detail.order, detail.state
    reference = f", reference {order.reference}" if order.reference else ""
    total = format_amount(order.total_minor, order.currency)
    yield f"order {order.pk}: {total}, for {customer_of(order)}{reference}"
    yield from (f"run   {run.id}: {run.saga}, {run.status}" for run in state.runs)
    yield f"state: {state.summary()}"
    for run in state.runs:
        if run.attention_reason:
            yield _wrapped(f"needs attention: {run.attention_reason}")
    yield _wrapped(f"next: {next_step_sentence(state)}")
    yield "(times are UTC)"
    yield from map(_line, audit_timeline(detail))


def _line(entry: TimelineEntry) -> str:
    data = "; ".join(f"{label} {value}" for label, value in entry.data)
    actor = f"by {entry.actor}" if entry.actor else ""
    text = " · ".join(filter(None, (entry.title, entry.detail, actor, data)))
    return _wrapped(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.kind}: {text}")


def _wrapped(text: str) -> str:
    """Wrap a text to WIDTH, but never inside an id or key."""
    return fill(
        text, WIDTH, subsequent_indent=" " * 4, break_long_words=False, break_on_hyphens=False
    )
