"""``manage.py check_invariants``: its output and its exit status."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from invariants.models import ReconciliationBreak
from orders.models import Order
from payments.provider_reconciliation import read_providers
from sandbox.stripe_process import SandboxServer
from tests.support.clock import A_DAY, backdate
from tests.support.database import all_rows
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)


def check_invariants(*arguments: str) -> tuple[int, str]:
    """Return the exit status and the output."""
    printed = StringIO()
    try:
        call_command("check_invariants", *arguments, stdout=printed)
    except SystemExit as ended:
        return int(ended.code or 0), printed.getvalue()
    return 0, printed.getvalue()


def as_json(*arguments: str) -> tuple[int, Mapping[str, Any]]:
    status, printed = check_invariants(*arguments, "--json")
    return status, json.loads(printed)


@pytest.fixture
def confirmed(shop: Shop) -> Order:
    order = shop.place()
    shop.messages.deliver_all()
    return order


@pytest.fixture
def miscounted(confirmed: Order) -> Order:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET version = 7")
    return confirmed


def test_a_clean_system_exits_with_0_and_reports_what_was_compared(confirmed: Order) -> None:
    status, output = as_json("--full", "--at-rest", "--grace", "0")

    assert status == 0
    assert output["findings"] == []
    assert output["orders"] == {"confirmed": 1}
    assert output["payments"] == {"captured": 1}
    assert output["provider"] == {
        "compared": True,
        "problem": "",
        "complete_since": None,
        "payments": 1,
        "net_minor": 4500,
    }
    assert output["everything"] is True
    assert output["invariants"]["checked"] == output["invariants"]["of"]
    assert output["invariants"]["left_out"] == {}


def test_the_default_output_is_a_table(confirmed: Order) -> None:
    status, output = check_invariants("--full")

    assert status == 0
    assert output.startswith("┏━")
    assert "1: 1 confirmed" in output
    assert "1 payments, 4500 held or captured" in output
    assert "0 findings: no ghost charge, no lost order, no oversold stock" in output


def test_a_finding_exits_with_1_and_names_code_subject_and_detail(miscounted: Order) -> None:
    status, output = as_json()

    assert status == 1
    assert output["findings"] == [
        {
            "code": "T4",
            "kind": "state",
            "subject": str(miscounted.pk),
            "detail": "version 7, transitions 1",
        }
    ]


def test_the_table_shows_the_sentence_of_a_broken_invariant(miscounted: Order) -> None:
    status, output = check_invariants()

    assert status == 1
    assert str(miscounted.pk) in output
    assert "version 7, transitions 1" in output
    assert "T4: An order's version counts its transitions." in output
    assert "no ghost charge" not in output


@pytest.mark.parametrize("order_id", ["[/x]", "[red]x", ":warning:"])
def test_a_providers_text_is_shown_without_markup(
    confirmed: Order, tmp_path: Path, order_id: str
) -> None:
    (state,) = map(asdict, read_providers().payments)
    statement = tmp_path / "statement.json"
    stranger = {**state, "provider_payment_id": "pi_stranger", "order_id": order_id}
    statement.write_text(json.dumps([state, stranger]))

    status, output = check_invariants("--full", "--statement", str(statement))

    assert status == 1
    assert order_id in output


def test_a_silent_provider_exits_with_2(
    confirmed: Order, sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    status, output = as_json()
    table = check_invariants("--full")

    assert status == 2
    assert (output["provider"]["compared"], output["provider"]["payments"]) == (False, None)
    assert output["provider"]["problem"].startswith("OutcomeUnknown: ")
    assert table[0] == 2
    assert "NOT COMPARED: OutcomeUnknown" in table[1]
    assert "a payment provider did not answer" in table[1]
    assert "no ghost charge" not in table[1]


def test_a_finding_exits_with_1_even_if_the_provider_is_silent(
    miscounted: Order, settings: Settings
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    assert as_json()[0] == 1


def test_the_output_says_that_the_provider_was_left_out(
    confirmed: Order, settings: Settings
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    status, output = check_invariants("--no-provider")

    assert status == 0
    assert "NOT COMPARED: left out" in output
    assert "the payment providers were not compared" in output
    assert "no ghost charge" not in output


def test_the_output_names_what_was_left_out_and_why(confirmed: Order) -> None:
    status, output = check_invariants("--no-provider", "--safety")
    json_status, report = as_json("--no-provider", "--safety")

    codes = {
        "M2, M6: not checked: the payment providers were not compared": ["M2", "M6"],
        "M5, M7, M11: checked in our own database only: the payment providers were not compared": [
            "M5",
            "M7",
            "M11",
        ],
        "S2, S3, S8: not checked: it adds up all of history, which only a full check does": [
            "S2",
            "S3",
            "S8",
        ],
        "M8, M13, T6, T8, T9, R4: checked only for what must never happen: lateness is no finding here": [
            "M8",
            "M13",
            "T6",
            "T8",
            "T9",
            "R4",
        ],
    }
    assert (status, json_status) == (0, 0)
    assert set(codes) <= set(output.splitlines())
    assert report["invariants"]["left_out"] == {
        code: line.partition(": ")[2] for line, named in codes.items() for code in named
    }


def test_a_short_check_reports_its_scope(confirmed: Order) -> None:
    status, output = check_invariants()
    _, report = as_json()

    assert status == 0
    assert "1: 1 confirmed; only orders that are under way, or moved in the last hour" in output
    assert "1 payments, 4500 held or captured (minor units); complete since 20" in output
    assert "0 findings in these orders; " in output
    assert "no ghost charge" not in output
    assert report["everything"] is False
    assert report["provider"]["complete_since"] is not None


def test_a_safety_check_does_not_resolve_a_lateness_break(shop: Shop) -> None:
    backdate(shop.place().pk, by=A_DAY, but="worked on")
    check_invariants("--record")

    check_invariants("--record", "--safety")

    late = ReconciliationBreak.objects.get()
    assert (late.code, late.resolved_at) == ("T6", None)


@pytest.mark.parametrize(
    "content", ["", "{", "{}", "[1]", '[{"provider_payment_id": "pi_1"}]', None]
)
def test_an_invalid_statement_is_a_usage_error(
    db: None, tmp_path: Path, content: str | None
) -> None:
    statement = tmp_path / "statement.json"
    if content is not None:
        statement.write_text(content)

    with pytest.raises(CommandError, match="--statement: ") as raised:
        check_invariants("--statement", str(statement))

    assert raised.value.returncode == 2


@pytest.mark.parametrize("seconds", ["nan", "soon", "1e300", "-1"])
def test_an_invalid_grace_is_a_usage_error(seconds: str) -> None:
    with pytest.raises(CommandError, match="is not a number of seconds"):
        check_invariants("--grace", seconds)


def test_a_statement_replaces_reading_the_provider(
    confirmed: Order, settings: Settings, tmp_path: Path
) -> None:
    (state,) = map(asdict, read_providers().payments)
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    right.write_text(json.dumps([state]))
    wrong.write_text(json.dumps([{**state, "captured_minor": 4499}]))

    agreed = as_json("--full", "--grace", "0", "--statement", str(right))
    differed = as_json("--full", "--grace", "0", "--statement", str(wrong))

    assert agreed[0] == 0
    assert differed[0] == 1
    assert [finding["code"] for finding in differed[1]["findings"]] == ["M6"]


def test_a_payment_settled_within_the_grace_is_not_compared(
    confirmed: Order, tmp_path: Path
) -> None:
    statement = tmp_path / "empty.json"
    statement.write_text("[]")

    assert as_json("--statement", str(statement))[0] == 0
    assert as_json("--grace", "0", "--statement", str(statement))[0] == 1


def test_old_orders_are_checked_only_with_full(confirmed: Order) -> None:
    backdate(confirmed.pk)

    assert as_json()[1]["orders"] == {}
    assert as_json("--full")[1]["orders"] == {"confirmed": 1}


def test_an_unfinished_order_is_a_finding_with_at_rest(shop: Shop) -> None:
    shop.place()

    assert as_json()[0] == 0
    status, output = as_json("--at-rest")

    assert status == 1
    assert [finding["code"] for finding in output["findings"]] == ["T6"]


def test_lateness_is_a_finding_except_with_safety(shop: Shop) -> None:
    backdate(shop.place().pk, by=A_DAY, but="worked on")

    status, output = as_json()
    safe, safety_output = as_json("--safety")

    assert (status, [finding["code"] for finding in output["findings"]]) == (1, ["T6"])
    assert (safe, safety_output["findings"]) == (0, [])


def test_an_unsafe_state_is_a_finding_with_safety(miscounted: Order) -> None:
    assert check_invariants("--safety")[0] == 1


def test_nothing_is_written_without_record(miscounted: Order) -> None:
    before = all_rows()

    check_invariants("--full")

    assert all_rows() == before


def test_record_stores_findings_as_breaks(miscounted: Order) -> None:
    assert check_invariants("--record")[0] == 1

    assert ReconciliationBreak.objects.get().subject == str(miscounted.pk)


def test_record_cannot_be_combined_with_a_statement(miscounted: Order, tmp_path: Path) -> None:
    statement = tmp_path / "empty.json"
    statement.write_text("[]")

    with pytest.raises(CommandError, match="cannot be used with --statement"):
        check_invariants("--record", "--statement", str(statement))

    assert not ReconciliationBreak.objects.exists()
