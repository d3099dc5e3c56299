"""Orders from a shell: read one's story, and do to it what the desk does, under the same rules."""

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
from adminkit.money import money
from desk.action_forms import WORDS, ReasonForm
from desk.actions import OF_ONE_ORDER, Asked, perform
from desk.audit_timeline import Entry, audit_timeline
from desk.models import ActionKind, ActionOutcome, OperatorAction
from desk.order_detail import OrderDetail, order_detail
from desk.order_list import customer_of
from desk.order_search import named
from desk.order_state import order_state
from desk.run_diagram import next_step_sentence
from orders.models import Order
from sagas.identifiers import new_id

WIDTH: Final = 100
MOST_LISTED: Final = 10

ORDER_HELP: Final = (
    "an order's id or how it begins (8 characters or more), the id of one of its runs, the shop's"
    " reference, or a payment provider's id of a payment or a refund"
)


class Command(BaseCommand):
    help = (
        "Read one order's story, or act on it as the desk does: under the same rules, refused in the"
        " same words, with an audit row that names you as shell:NAME, as the operating system knows"
        " you. Only show changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        show = commands.add_parser("show", help="all that happened to it, and what comes next")
        show.add_argument("order", help=ORDER_HELP)
        show.add_argument("--json", action="store_true", help="for programs")
        for kind in OF_ONE_ORDER:
            words = WORDS[kind]
            act = commands.add_parser(
                kind.value, help=words.button.lower(), description=words.explanation
            )
            act.add_argument("order", help=ORDER_HELP)
            act.add_argument(
                "--reason", help="kept with your name; asked for on a terminal if it is not given"
            )

    def handle(self, *_: Any, command: str, order: str, **options: Any) -> None:
        found = _order_named(order)
        if command == "show":
            self._show(order_detail(found.pk), as_json=options["json"])
        else:
            self._act(ActionKind(command), found, options["reason"])

    def _act(self, kind: ActionKind, order: Order, reason: str | None) -> None:
        asked = Asked(
            kind, order.pk, user_of_this_shell(), self._reason(kind, order, reason), new_id()
        )
        try:
            done = perform(asked)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise  # such as a connection that broke: nobody knows whether it was done
            raise CommandError(
                "The order could not be locked: it is being worked on. Nothing was changed; try again."
            ) from error
        self._tell(done)

    def _tell(self, done: OperatorAction) -> None:
        label = WORDS[ActionKind(done.kind)].button
        if done.outcome == ActionOutcome.REFUSED:
            raise CommandError(f"{label} was refused: {done.told}")
        self.stdout.write(_wrapped(f"{label}: {done.told}"))
        self.stdout.write(f"order {done.order_id}, by {done.actor}")
        self.stdout.write(_wrapped(f"stands: {done.after}"))

    def _reason(self, kind: ActionKind, order: Order, given: str | None) -> str:
        """Return why, by the rules of the desk's form; asked for where somebody can answer."""
        if given is None:
            if not sys.stdin.isatty():
                raise CommandError("--reason: say why; it is kept with your name", returncode=2)
            words = WORDS[kind]
            self.stdout.write(f"{words.button}: order {order.pk} of {customer_of(order)}")
            self.stdout.write(_wrapped(f"stands: {order_state(order.pk).in_words()}"))
            self.stdout.write(_wrapped(words.explanation))
            with suppress(EOFError):
                given = input(f"{words.asked_for}: ")
        form = ReasonForm({"reason": given or "", "token": new_id()})
        if not form.is_valid():
            raise CommandError(f"--reason: {form.errors['reason'][0]}", returncode=2)
        return str(form.cleaned_data["reason"])

    def _show(self, detail: OrderDetail, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(_as_json(detail), indent=2, cls=DjangoJSONEncoder))
        else:
            self.stdout.write("\n".join(_in_words(detail)))


def _order_named(term: str) -> Order:
    found = list(named(term)[: MOST_LISTED + 1])
    if not found:
        raise CommandError(f"{term!r} names no order. Taken is {ORDER_HELP}.")
    if len(found) > 1:
        listed = [f"  {each.pk}  {customer_of(each)}, {each.status}" for each in found]
        rest = ["  …"] if len(found) > MOST_LISTED else []
        lines = [f"{term!r} names several orders:", *listed[:MOST_LISTED], *rest]
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
        "stands": detail.state.in_words(),
        "next": next_step_sentence(detail.state),
        "runs": [each.id for each in detail.state.runs],
        "story": [asdict(each) for each in audit_timeline(detail)],
    }


def _in_words(detail: OrderDetail) -> Iterator[str]:
    order, state = detail.order, detail.state
    reference = f", reference {order.reference}" if order.reference else ""
    total = money(order.total_minor, order.currency)
    yield f"order {order.pk}: {total}, for {customer_of(order)}{reference}"
    yield from (f"run   {each.id}: {each.saga}, {each.status}" for each in state.runs)
    yield f"stands: {state.in_words()}"
    for each in state.runs:
        if each.attention_reason:
            yield _wrapped(f"needs attention: {each.attention_reason}")
    yield _wrapped(f"next: {next_step_sentence(state)}")
    yield "(times are UTC)"
    yield from map(_line, audit_timeline(detail))


def _line(entry: Entry) -> str:
    data = "; ".join(f"{label} {value}" for label, value in entry.data)
    who = f"by {entry.who}" if entry.who else ""
    said = " · ".join(filter(None, (entry.what, entry.detail, who, data)))
    return _wrapped(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.kind}: {said}")


def _wrapped(text: str) -> str:
    """Ids and keys stay whole: they are there to be copied."""
    return fill(
        text, WIDTH, subsequent_indent=" " * 4, break_long_words=False, break_on_hyphens=False
    )
