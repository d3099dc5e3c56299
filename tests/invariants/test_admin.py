"""Breaks at the desk: found, read, resolved with a note, and never lost."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone

from invariants.models import ReconciliationBreak
from sagas.identifiers import new_id

pytestmark = pytest.mark.django_db(transaction=True)

BREAKS = "/admin/invariants/reconciliationbreak/"


@pytest.fixture
def desk() -> Client:
    ContentType.objects.clear_cache()  # it outlives the rows, which are flushed after each test
    client = Client()
    client.force_login(User.objects.create_superuser("grace"))
    return client


def seen(code: str, kind: str, subject: str, *, is_open: bool = True) -> ReconciliationBreak:
    now = timezone.now()
    return ReconciliationBreak.objects.create(
        code=code,
        kind=kind,
        subject=subject,
        detail="version 7, moves 1",
        first_seen=now - timedelta(minutes=5),
        last_seen=now,
        times_seen=5,
        resolved_at=None if is_open else now,
        resolution="" if is_open else "no longer found",
    )


def found(desk: Client, query: str = "") -> set[int]:
    response = desk.get(f"{BREAKS}{query}")
    assert response.status_code == 200
    return {each.pk for each in response.context["cl"].result_list}


def test_breaks_are_narrowed_to_the_open_ones_and_by_kind(desk: Client) -> None:
    money = seen("M6", "money", str(new_id()))
    stock = seen("S2", "stock", "TEE@main")
    gone = seen("M6", "money", str(new_id()), is_open=False)

    assert found(desk) == {money.pk, stock.pk, gone.pk}
    assert found(desk, "?state=open") == {money.pk, stock.pk}
    assert found(desk, "?state=open&kind=money") == {money.pk}
    assert found(desk, f"?q={gone.subject}") == {gone.pk}


def test_a_break_leads_to_its_order_and_says_what_is_broken(desk: Client) -> None:
    order_id = str(new_id())
    page = desk.get(f"{BREAKS}{seen('T4', 'state', order_id).pk}/change/").content.decode()

    assert f'href="/admin/orders/order/{order_id}/change/"' in page
    assert "An order&#x27;s version counts its moves." in page


def test_what_is_about_no_order_leads_nowhere(desk: Client) -> None:
    page = desk.get(f"{BREAKS}{seen('S2', 'stock', 'TEE@main').pk}/change/").content.decode()

    assert "TEE@main" in page
    assert "/admin/orders/order/TEE" not in page


def test_a_person_resolves_a_break_with_a_note(desk: Client) -> None:
    each = seen("T4", "state", str(new_id()))

    desk.post(f"{BREAKS}{each.pk}/change/", {"resolution": "counted by hand", "times_seen": 1})

    each.refresh_from_db()
    assert (each.resolution, each.resolved_by) == ("counted by hand", "grace")
    assert each.resolved_at is not None
    assert each.times_seen == 5


def test_without_a_note_nothing_is_resolved(desk: Client) -> None:
    each = seen("T4", "state", str(new_id()))

    answer = desk.post(f"{BREAKS}{each.pk}/change/", {"resolution": ""})

    each.refresh_from_db()
    assert "This field is required" in answer.content.decode()
    assert each.resolved_at is None


def test_what_is_resolved_stays_as_it_was_resolved(desk: Client) -> None:
    each = seen("T4", "state", str(new_id()), is_open=False)

    answer = desk.post(f"{BREAKS}{each.pk}/change/", {"resolution": "never was"})

    each.refresh_from_db()
    assert answer.status_code == 403
    assert each.resolution == "no longer found"


def test_no_break_is_added_or_deleted(desk: Client) -> None:
    each = seen("T4", "state", str(new_id()))

    added = desk.post(f"{BREAKS}add/", {"resolution": "x"})
    deleted = desk.post(f"{BREAKS}{each.pk}/delete/", {"post": "yes"})
    desk.post(BREAKS, {"action": "delete_selected", "_selected_action": [each.pk], "post": "yes"})

    assert (added.status_code, deleted.status_code) == (403, 403)
    assert ReconciliationBreak.objects.get().pk == each.pk
