"""The admin pages of breaks: staff find, read and resolve them, and cannot delete them."""

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
    ContentType.objects.clear_cache()  # the cache outlives the rows, which are deleted after each test
    client = Client()
    client.force_login(User.objects.create_superuser("grace"))
    return client


def make_break(code: str, kind: str, subject: str, *, is_open: bool = True) -> ReconciliationBreak:
    now = timezone.now()
    return ReconciliationBreak.objects.create(
        code=code,
        kind=kind,
        subject=subject,
        detail="version 7, transitions 1",
        first_seen=now - timedelta(minutes=5),
        last_seen=now,
        times_seen=5,
        resolved_at=None if is_open else now,
        resolution="" if is_open else "no longer found",
    )


def found(desk: Client, query: str = "") -> set[int]:
    response = desk.get(f"{BREAKS}{query}")
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


def test_breaks_can_be_filtered_by_state_and_kind(desk: Client) -> None:
    money = make_break("M6", "money", str(new_id()))
    stock = make_break("S2", "stock", "TEE@main")
    gone = make_break("M6", "money", str(new_id()), is_open=False)

    assert found(desk) == {money.pk, stock.pk, gone.pk}
    assert found(desk, "?state=open") == {money.pk, stock.pk}
    assert found(desk, "?state=open&kind=money") == {money.pk}
    assert found(desk, f"?q={gone.subject}") == {gone.pk}


def test_a_break_links_to_its_order_and_shows_the_invariant(desk: Client) -> None:
    order_id = str(new_id())
    page = desk.get(f"{BREAKS}{make_break('T4', 'state', order_id).pk}/change/").content.decode()

    assert f'href="/admin/orders/order/{order_id}/change/"' in page
    assert "An order&#x27;s version counts its transitions." in page


def test_a_break_about_something_else_has_no_order_link(desk: Client) -> None:
    page = desk.get(f"{BREAKS}{make_break('S2', 'stock', 'TEE@main').pk}/change/").content.decode()

    assert "TEE@main" in page
    assert "/admin/orders/order/TEE" not in page


def test_staff_resolve_a_break_with_a_note(desk: Client) -> None:
    broken = make_break("T4", "state", str(new_id()))

    desk.post(f"{BREAKS}{broken.pk}/change/", {"resolution": "counted by hand", "times_seen": 1})

    broken.refresh_from_db()
    assert (broken.resolution, broken.resolved_by) == ("counted by hand", "grace")
    assert broken.resolved_at is not None
    assert broken.times_seen == 5


def test_a_break_is_not_resolved_without_a_note(desk: Client) -> None:
    broken = make_break("T4", "state", str(new_id()))

    response = desk.post(f"{BREAKS}{broken.pk}/change/", {"resolution": ""})

    broken.refresh_from_db()
    assert "This field is required" in response.content.decode()
    assert broken.resolved_at is None


def test_a_resolved_break_cannot_be_changed(desk: Client) -> None:
    broken = make_break("T4", "state", str(new_id()), is_open=False)

    response = desk.post(f"{BREAKS}{broken.pk}/change/", {"resolution": "never was"})

    broken.refresh_from_db()
    assert response.status_code == 403
    assert broken.resolution == "no longer found"


def test_staff_can_neither_add_nor_delete_a_break(desk: Client) -> None:
    broken = make_break("T4", "state", str(new_id()))

    added = desk.post(f"{BREAKS}add/", {"resolution": "x"})
    deleted = desk.post(f"{BREAKS}{broken.pk}/delete/", {"post": "yes"})
    desk.post(BREAKS, {"action": "delete_selected", "_selected_action": [broken.pk], "post": "yes"})

    assert (added.status_code, deleted.status_code) == (403, 403)
    assert ReconciliationBreak.objects.get().pk == broken.pk
