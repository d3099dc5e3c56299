"""The CSV export: filtered like the list, in bounded memory, without formulas."""

import csv
import io
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from desk import export
from desk.export import escape_formula
from desk.models import OperatorAction
from orders.models import Order
from sagas.models import SagaRun
from tests.support.desk_actions import ORDERS, audit_rows, staff_client
from tests.support.storefront_client import Storefront, cart

EXPORT = f"{ORDERS}export/"


def rows(client: Client, query: str = "") -> list[dict[str, str]]:
    answer = client.post(f"{EXPORT}{query}")
    assert answer.status_code == 200
    text = answer.getvalue().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_export_has_the_orders_that_the_list_shows(
    desk: Client, confirmed: UUID, waiting: UUID
) -> None:
    everything, placed = rows(desk), rows(desk, "?status__exact=placed")

    assert [row["order"] for row in everything] == [str(waiting), str(confirmed)]
    assert [row["order"] for row in placed] == [str(waiting)]
    assert {**placed[0], "placed at": "", "in this state since": ""} == {
        "order": str(waiting),
        "placed at": "",
        "customer": "alice",
        "reference": "",
        "state": "placed",
        "in this state since": "",
        "step": "reserve_stock",
        "attempts": "0",
        "last error": "",
        "total (minor units)": "2500",
        "currency": "eur",
        "cancel reason": "",
        "needs attention": "8 attempts",
    }


def test_an_export_leaves_an_audit_row_with_its_filters(desk: Client, confirmed: UUID) -> None:
    rows(desk, "?status__exact=placed&q=alice")

    assert audit_rows() == [("grace", "export", "done")]
    assert OperatorAction.objects.get().reason == "search: alice; status: placed"


def test_an_export_needs_a_permission_and_a_post(content_types: None, confirmed: UUID) -> None:
    reader, exporter = staff_client("paul"), staff_client("olga", ["desk.export_orders"])

    assert reader.post(EXPORT).status_code == 403
    assert exporter.get(f"{EXPORT}?q=alice").headers["Location"] == f"{ORDERS}?q=alice"
    assert exporter.post(f"{EXPORT}?customer__password__startswith=a").status_code == 400
    assert audit_rows() == []
    assert len(rows(exporter)) == 1
    assert "Export as CSV" not in reader.get(ORDERS).content.decode()
    assert "Export as CSV" in exporter.get(ORDERS).content.decode()


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "|calc",
        "%0A=1+1",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        " =1+1",
        '"=1+1',
        "'=1+1",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1-x",
        "\uff20A1",
        "\u200b=1+1",
        "\ufeff=1+1",
        "\xa0=1+1",
        "\u202e=1+1",
        "\tcmd",
    ],
)
def test_cells_with_formulas_are_escaped(desk: Client, waiting: UUID, text: str) -> None:
    SagaRun.objects.update(needs_attention=True, attention_reason=text)

    cell = rows(desk)[0]["needs attention"]

    assert cell.startswith("'")
    assert cell[1:] in (text, text.replace("|", "\\|"))


@pytest.mark.parametrize("text", ["", "alice", "8 attempts", "a=b", "-5", "1,000", "müller+co"])
def test_other_texts_are_not_changed(text: str) -> None:
    assert escape_formula(text) == text


def test_the_export_reads_the_orders_in_batches(
    desk: Client, storefront: Storefront, waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 2)
    for _ in range(3):
        storefront.order(cart(("TEE", 1)))

    with CaptureQueriesContext(connection) as queries:
        ids = [UUID(row["order"]) for row in rows(desk)]

    assert ids == list(Order.objects.order_by("-pk").values_list("pk", flat=True))
    assert len(ids) == len(set(ids)) == 5
    read = [query["sql"] for query in queries if '"orders_order"."payment_method"' in query["sql"]]
    assert len(read) == 1 + 3


def test_the_customers_name_is_escaped_too(desk: Client, waiting: UUID) -> None:
    User.objects.filter(username="alice").update(username="@SUM(1)")

    assert rows(desk)[0]["customer"] == "'@SUM(1)"
