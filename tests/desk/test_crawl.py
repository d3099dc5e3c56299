"""Opens every page of the desk in every role: no page fails, changes data on GET, or renders stored
text as markup."""

import re
from collections.abc import Iterable
from html import unescape
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from access.models import ApiToken
from approvals.models import Approval
from desk.bulk import create_bulk_action, process_slice
from desk.models import ActionKind
from desk.roles import ROLES, synchronise
from invariants.models import ReconciliationBreak
from inventory.models import Product, StockLevel
from inventory.services import ManualEntry, receive
from orders.models import Order, OrderLine
from payments.models import Payment
from sagas.identifiers import new_id
from sagas.models import SagaRun, StepAttempt
from tests.support.approval_helpers import decide, open_approval
from tests.support.database import all_rows
from tests.support.desk_actions import submit_action
from tests.support.routes import all_routes, key_of_some_row

MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
LINK = re.compile(r'(?:href|data-url)="(/admin/[^"#]*|\?[^"#]*)"')


@pytest.fixture
def written(
    desk: Client, grace: User, confirmed: UUID, waiting: UUID, posted: list[str]
) -> list[str]:
    """Store markup in every text that users can write; return the beginning of each text."""
    for app_config in apps.get_app_configs():
        create_contenttypes(app_config, verbosity=0)
        create_permissions(app_config, verbosity=0)
    synchronise()
    write_stock_texts()
    write_approval_texts(waiting)
    submit_action(desk, waiting, "note", f"note {MARKUP}")
    create_bulk_action(
        *(ActionKind.RETRY, grace, [confirmed, waiting]),
        reason=f"bulk {MARKUP}", selection=f"search: chosen {MARKUP}", token=new_id(),
    )  # fmt: skip
    process_slice()
    write_order_texts(confirmed, waiting)
    write_desk_texts(grace)
    return [
        *(
            "customer",
            "reference",
            "sku",
            "line",
            "reason",
            "attention",
            "error",
            "decline",
            "break",
        ),
        *("question", "decider", "comment"),
        *("product", "warehouse", "delivery", "note", "bulk", "chosen"),
        *("token", "role", "guess", "browser", "changed", "schedule"),
    ]


def write_order_texts(confirmed: UUID, waiting: UUID) -> None:
    User.objects.filter(username="alice").update(
        username=f"customer {MARKUP}", first_name=MARKUP, email=f"{MARKUP}@example.com"
    )
    Order.objects.update(reason=f"code {MARKUP}"[:64], reason_detail=f"reason {MARKUP}")
    Order.objects.filter(pk=waiting).update(reference=f"reference {MARKUP}"[:64])
    OrderLine.objects.update(sku=f"sku {MARKUP}"[:64], name=f"line {MARKUP}")
    SagaRun.objects.filter(subject_id=waiting).update(
        needs_attention=True, attention_reason=f"attention {MARKUP}"
    )
    StepAttempt.objects.update(error=f"error {MARKUP}", detail=MARKUP, output={MARKUP: MARKUP})
    Payment.objects.filter(order_id=confirmed).update(decline_code=f"decline {MARKUP}"[:64])
    ReconciliationBreak.objects.create(
        code="T4", kind="state", subject=str(confirmed), detail=f"break {MARKUP}",
        first_seen=timezone.now(), last_seen=timezone.now(),
    )  # fmt: skip


def write_approval_texts(order: UUID) -> None:
    """Store markup in an open and in a decided approval."""
    open_approval(order)
    decide(open_approval(order, key="2"), actor=f"decider {MARKUP}", comment=f"comment {MARKUP}")
    Approval.objects.update(question=f"question {MARKUP}")


def write_stock_texts() -> None:
    level = StockLevel.objects.select_related("product", "warehouse").earliest("pk")
    receive(level, 1, f"delivery {MARKUP}", ManualEntry(new_id(), MARKUP, MARKUP))
    Product.objects.filter(pk=level.product_id).update(name=f"product {MARKUP}")
    level.warehouse.name = f"warehouse {MARKUP}"
    level.warehouse.save()


def write_desk_texts(grace: User) -> None:
    ApiToken.objects.update(name=f"token {MARKUP}", revoked_reason=MARKUP)
    Group.objects.create(name=f"role {MARKUP}")
    AccessAttempt.objects.create(
        username=f"guess {MARKUP}", ip_address="192.0.2.1", user_agent=f"browser {MARKUP}",
        failures_since_start=1,
    )  # fmt: skip
    LogEntry.objects.log_actions(grace.pk, [grace], CHANGE, f"changed {MARKUP}")
    every, _ = IntervalSchedule.objects.get_or_create(every=3, period="seconds")
    PeriodicTask.objects.create(
        name="sweep", task="sagas.sweep", interval=every, description=f"schedule {MARKUP}"
    )


def clients_by_role() -> dict[str, Client]:
    """Return an anonymous client, one of each role that ships, and a superuser's."""
    found = {"anonymous": Client()}
    for role in ROLES:
        user = User.objects.create_user(f"{role.name}-1", is_staff=True)
        user.groups.add(Group.objects.get(name=role.name))
        found[role.name] = Client()
        found[role.name].force_login(user)
    found["superuser"] = Client()
    found["superuser"].force_login(User.objects.get(username="grace"))
    return found


def addresses(order: UUID) -> set[str]:
    """Return the path of every route of the desk, with keys of existing rows."""
    ContentType.objects.clear_cache()
    found = set()
    for route in all_routes():
        # The enrolment page stores the key that it shows.
        if not route.is_desk or route.name in ("admin:logout", "admin:enrol"):
            continue
        key = key_of_some_row(route) or order
        for kind in ActionKind if "kind" in route.pattern else (ActionKind.NOTE,):
            values = {"object_id": key, "id": key, "order_id": order, "pk": key, "kind": kind.value}
            values |= {"approval_id": key, "decision": "approve", "name": "packed"}
            found.add(route.path({**values, "app_label": "orders", "url": "no-such-page"}))
    return found


def links(page: str, address: str) -> Iterable[str]:
    for link in LINK.findall(page):
        yield unescape(link) if link.startswith("/") else urlsplit(address).path + unescape(link)


def page_kind(address: str) -> tuple[str, tuple[str, ...]]:
    """Return the path and the names of the parameters: one value of a filter represents all."""
    parts = urlsplit(address)
    names = {name for name, _ in parse_qsl(parts.query)} - {"_changelist_filters", "_to_field"}
    return parts.path, tuple(sorted(names))


def test_no_page_fails_or_changes_data_on_get_in_any_role(
    written: list[str], waiting: UUID
) -> None:
    clients, paths = clients_by_role(), addresses(waiting)
    before = all_rows()

    failed = {
        (role, path): answer.status_code
        for role, client in clients.items()
        for path in sorted(paths)
        if (answer := client.get(path)).status_code not in (200, 302, 400, 403, 404, 405)
    }

    assert failed == {}
    assert all_rows() == before
    assert len(paths) > 90


def test_every_link_works_and_stored_markup_is_escaped(written: list[str], desk: Client) -> None:
    before = all_rows()
    unseen, seen, pages, lost = ["/admin/"], set(), {}, {}

    while unseen:
        address = unseen.pop()
        kind = page_kind(address)
        if kind in seen or len(kind[1]) > 1 or "/second-factor/" in address:
            continue
        seen.add(kind)
        answer = desk.get(address)
        if answer.status_code not in (200, 302):
            lost[address] = answer.status_code
        elif "html" in answer.headers.get("Content-Type", "") and not answer.streaming:
            pages[address] = answer.content.decode()
            unseen += links(pages[address], address)

    assert lost == {}
    assert [
        at for at, page in pages.items() if "<script>alert" in page or "<img src=x" in page
    ] == []
    shown = "".join(pages.values())
    assert [text for text in written if f"{text} &quot;&gt;&lt;script&gt;" not in shown] == []
    assert all_rows() == before
    assert len(pages) > 100, len(pages)
