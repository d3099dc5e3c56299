"""Lists and shows approvals in a shell, decides them under the desk's rules, and creates links."""

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from access.os_user import user_of_this_shell
from approvals import services
from approvals.links import DEFAULT_HOURS, MAX_HOLDER_LENGTH, MAX_HOURS, new_link
from approvals.models import COMMENT_LENGTH, Approval
from approvals.states import ApprovalStatus, Decision, DefaultAction
from clock.now import now
from desk.actions import ActionRequest
from desk.approval_actions import DEFAULT_TEXTS, KIND_OF, decide, decided_before
from desk.models import ActionOutcome
from orders.descriptions import describe_order, payment_warning
from orders.models import Order
from sagas.cli_types import text, whole_number
from sagas.identifiers import new_id

MAX_LISTED: Final = 100


class Command(BaseCommand):
    help = (
        "List and show approvals, decide them under the desk's rules, and create or revoke decision"
        " links. The audit row names you as shell:NAME, with your name in the operating system."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        listing = commands.add_parser(
            "list", help=f"the open approvals, newest first, at most {MAX_LISTED}; changes nothing"
        )
        listing.add_argument(
            "--status",
            choices=ApprovalStatus.values,
            default=ApprovalStatus.OPEN.value,
            help="those with another status (default %(default)s)",
        )
        show = commands.add_parser("show", help="one approval; changes nothing")
        show.add_argument("id", type=UUID, help="the id that list shows")
        for decision in Decision:
            parsed = commands.add_parser(
                decision.value, help=f"{decision.value} it; a decision is final"
            )
            parsed.add_argument("id", type=UUID, help="the id that list shows")
            parsed.add_argument(
                "--comment", type=text(COMMENT_LENGTH), required=True, help="stored with your name"
            )
        _add_link_commands(commands)

    def handle(self, *_: Any, command: str, **options: Any) -> None:
        match command:
            case "list":
                self._list(ApprovalStatus(options["status"]))
            case "show":
                self.stdout.write("\n".join(_lines(_approval(options["id"]), now())))
            case "link":
                self._link(_approval(options["id"]), options["holder"], options["hours"])
            case "revoke-links":
                approval = _approval(options["id"])
                services.revoke_links(approval.pk)
                self.stdout.write(f"All links to {approval.pk} that exist are revoked.")
            case _:
                self._decide(_approval(options["id"]), Decision(command), options["comment"])

    def _list(self, status: ApprovalStatus) -> None:
        found = services.newest_approvals(statuses=[status], limit=MAX_LISTED)
        at = now()
        for approval in found:
            deadline = _deadline(approval, at)
            question = " ".join(approval.question.split())
            columns = (
                *(approval.pk, f"order {approval.subject_id}", f"until {deadline}"),
                *(f"then {approval.default}", f"{approval.label}: {question}"),
            )
            self.stdout.write("  ".join(map(str, columns)))
        if not found:
            self.stdout.write(f"No approval is {status}.")

    def _decide(self, approval: Approval, decision: Decision, comment: str) -> None:
        action = ActionRequest(
            KIND_OF[decision], approval.subject_id, user_of_this_shell(), comment, new_id()
        )
        try:
            row = decide(approval.pk, action)
        except Order.DoesNotExist:
            raise CommandError(f"There is no order {approval.subject_id}.") from None
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise  # for example a broken connection: whether it was decided is unknown
            raise CommandError(
                "A worker has locked the order. Nothing was changed; try again."
            ) from error
        if row.outcome == ActionOutcome.REFUSED:
            raise CommandError(f"{decision.label} was refused: {row.message}")
        self.stdout.write(f"{row.message}\norder {row.order_id}, by {row.actor}")

    def _link(self, approval: Approval, holder: str, hours: int) -> None:
        if message := decided_before(approval):
            raise CommandError(message)
        issuer = user_of_this_shell().get_username()
        link = new_link(approval, holder=holder, issuer=issuer, hours=hours)
        self.stdout.write(f"{settings.STOREFRONT_URL.rstrip('/')}{link.path}")


def _add_link_commands(commands: Any) -> None:
    link = commands.add_parser(
        "link",
        help="print a link: its holder decides this approval without a login; stores nothing",
    )
    link.add_argument("id", type=UUID, help="the id that list shows")
    link.add_argument(
        "--hours",
        type=whole_number(1, MAX_HOURS),
        default=DEFAULT_HOURS,
        help="how long it is valid (default %(default)s)",
    )
    link.add_argument(
        "--for",
        dest="holder",
        type=text(MAX_HOLDER_LENGTH, at_least=0),
        default="",
        help="the name of its holder; a decision is recorded under it, with your name",
    )
    revoke = commands.add_parser("revoke-links", help="revoke all links to an approval that exist")
    revoke.add_argument("id", type=UUID, help="the id that list shows")


def _approval(approval_id: UUID) -> Approval:
    try:
        return services.peek(approval_id)
    except Approval.DoesNotExist:
        raise CommandError(f"There is no approval {approval_id}.") from None


def _deadline(approval: Approval, at: datetime) -> str:
    """Return the deadline, and whether it has passed for an approval that is still open."""
    passed = ", which has passed" if approval.is_open and approval.deadline <= at else ""
    return f"{approval.deadline:%Y-%m-%d %H:%M:%S} UTC{passed}"


def _lines(approval: Approval, at: datetime) -> Iterator[str]:
    yield f"approval {approval.pk}: {approval.label}, {approval.status}"
    yield f"order    {approval.subject_id}"
    if order := describe_order(approval.subject_id):
        reference = f", the shop's number {order.reference}" if order.reference else ""
        yield f"         {order.total}, for {order.customer}{reference}"
        yield from (f"         {item}" for item in order.items)
    yield f"question {approval.question}"
    yield f"deadline {_deadline(approval, at)}; {DEFAULT_TEXTS[DefaultAction(approval.default)]}"
    if approval.is_open and (warning := payment_warning(approval.subject_id)):
        yield f"warning  {warning}"
    if message := decided_before(approval):
        yield f"decided  {message}"
    if approval.comment:
        yield f"comment  {approval.comment}"
