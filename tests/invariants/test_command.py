"""``manage.py check_invariants``: what it says, and with which status it ends."""

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
from tests.support.run_clock import backdate
from tests.support.shop import Shop
from tests.support.storefront_client import everything

pytestmark = pytest.mark.django_db(transaction=True)


def check_invariants(*arguments: str) -> tuple[int, str]:
    """The exit status, and what was printed."""
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


def test_a_clean_system_ends_with_0_and_says_what_was_compared(confirmed: Order) -> None:
    status, said = as_json("--full", "--at-rest", "--grace", "0")

    assert status == 0
    assert said["findings"] == []
    assert said["orders"] == {"confirmed": 1}
    assert said["payments"] == {"captured": 1}
    assert said["provider"] == {
        "compared": True,
        "problem": "",
        "complete_since": None,
        "payments": 1,
        "net_minor": 4500,
    }
    assert said["everything"] is True
    assert said["invariants"]["checked"] == said["invariants"]["of"]
    assert said["invariants"]["left_out"] == {}


def test_people_get_the_same_as_a_table(confirmed: Order) -> None:
    status, said = check_invariants("--full")

    assert status == 0
    assert said.startswith("┏━")
    assert "1: 1 confirmed" in said
    assert "1 payments, 4500 held or captured" in said
    assert "0 findings: no ghost charge, no lost order, no oversold stock" in said


def test_a_finding_ends_with_1_and_names_code_subject_and_details(miscounted: Order) -> None:
    status, said = as_json()

    assert status == 1
    assert said["findings"] == [
        {
            "code": "T4",
            "kind": "state",
            "subject": str(miscounted.pk),
            "detail": "version 7, moves 1",
        }
    ]


def test_a_table_tells_what_is_broken_in_a_sentence(miscounted: Order) -> None:
    status, said = check_invariants()

    assert status == 1
    assert str(miscounted.pk) in said
    assert "version 7, moves 1" in said
    assert "T4: An order's version counts its moves." in said
    assert "no ghost charge" not in said


@pytest.mark.parametrize("order_id", ["[/nobody]", "[red]nobody", ":warning:"])
def test_a_text_of_the_provider_is_shown_as_it_is(
    confirmed: Order, tmp_path: Path, order_id: str
) -> None:
    (balance,) = map(asdict, read_providers().balances)
    statement = tmp_path / "statement.json"
    stranger = {**balance, "provider_payment_id": "pi_stranger", "order_id": order_id}
    statement.write_text(json.dumps([balance, stranger]))

    status, said = check_invariants("--full", "--statement", str(statement))

    assert status == 1
    assert order_id in said


def test_a_provider_that_does_not_answer_ends_with_2(
    confirmed: Order, sandbox_stripe: SandboxServer, settings: Settings
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    status, said = as_json()
    table = check_invariants("--full")

    assert status == 2
    assert (said["provider"]["compared"], said["provider"]["payments"]) == (False, None)
    assert said["provider"]["problem"].startswith("OutcomeUnknown: ")
    assert table[0] == 2
    assert "NOT COMPARED: OutcomeUnknown" in table[1]
    assert "a payment provider did not answer" in table[1]
    assert "no ghost charge" not in table[1]


def test_findings_without_the_provider_still_end_with_1(
    miscounted: Order, settings: Settings
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    assert as_json()[0] == 1


def test_the_provider_can_be_left_out_and_that_is_said(
    confirmed: Order, settings: Settings
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    status, said = check_invariants("--no-provider")

    assert status == 0
    assert "NOT COMPARED: left out" in said
    assert "the payment providers were not compared" in said
    assert "no ghost charge" not in said


def test_what_was_left_out_is_named_with_why(confirmed: Order) -> None:
    status, said = check_invariants("--no-provider", "--safety")
    json_status, told = as_json("--no-provider", "--safety")

    codes = {
        "M2, M6: not checked: the payment providers were not compared": ["M2", "M6"],
        "M5, M7, M11: checked in our own books only: the payment providers were not compared": [
            "M5",
            "M7",
            "M11",
        ],
        "S2, S3, S8: not checked: it adds up all of history, which only a full check does": [
            "S2",
            "S3",
            "S8",
        ],
        "M8, T6, T8, T9, R4: checked only for what must never be: lateness is no finding here": [
            "M8",
            "T6",
            "T8",
            "T9",
            "R4",
        ],
    }
    assert (status, json_status) == (0, 0)
    assert set(codes) <= set(said.splitlines())
    assert told["invariants"]["left_out"] == {
        code: line.partition(": ")[2] for line, named in codes.items() for code in named
    }


def test_a_short_check_claims_no_more_than_it_has_looked_at(confirmed: Order) -> None:
    status, said = check_invariants()
    _, told = as_json()

    assert status == 0
    assert "1: 1 confirmed; those that have not ended, or moved in the last hour" in said
    assert "1 payments, 4500 held or captured (minor units); complete since 20" in said
    assert "0 findings in what was looked at; " in said
    assert "no ghost charge" not in said
    assert told["everything"] is False
    assert told["provider"]["complete_since"] is not None


def test_a_check_of_safety_resolves_no_lateness(shop: Shop) -> None:
    shop.place()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_ordertransition SET at = at - interval '1 day'")
        cursor.execute("UPDATE orders_order SET created_at = created_at - interval '1 day'")
    check_invariants("--record")

    check_invariants("--record", "--safety")

    late = ReconciliationBreak.objects.get()
    assert (late.code, late.resolved_at) == ("T6", None)


@pytest.mark.parametrize("said", ["", "{", "{}", "[1]", '[{"provider_payment_id": "pi_1"}]', None])
def test_a_statement_that_is_none_is_a_mistake_of_whoever_asks(
    db: None, tmp_path: Path, said: str | None
) -> None:
    statement = tmp_path / "statement.json"
    if said is not None:
        statement.write_text(said)

    with pytest.raises(CommandError, match="--statement: ") as raised:
        check_invariants("--statement", str(statement))

    assert raised.value.returncode == 2


@pytest.mark.parametrize("seconds", ["nan", "soon", "1e300", "-1"])
def test_a_grace_that_is_no_time_is_a_mistake_of_whoever_asks(seconds: str) -> None:
    with pytest.raises(CommandError, match="is no time in seconds"):
        check_invariants("--grace", seconds)


def test_a_statement_stands_for_the_provider(
    confirmed: Order, settings: Settings, tmp_path: Path
) -> None:
    (balance,) = map(asdict, read_providers().balances)
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    right.write_text(json.dumps([balance]))
    wrong.write_text(json.dumps([{**balance, "captured_minor": 4499}]))

    agreed = as_json("--full", "--grace", "0", "--statement", str(right))
    differed = as_json("--full", "--grace", "0", "--statement", str(wrong))

    assert agreed[0] == 0
    assert differed[0] == 1
    assert [each["code"] for each in differed[1]["findings"]] == ["M6"]


def test_a_provider_need_not_show_what_it_was_just_sent(confirmed: Order, tmp_path: Path) -> None:
    statement = tmp_path / "empty.json"
    statement.write_text("[]")

    assert as_json("--statement", str(statement))[0] == 0
    assert as_json("--grace", "0", "--statement", str(statement))[0] == 1


def test_only_what_has_moved_lately_is_looked_at_unless_asked_in_full(confirmed: Order) -> None:
    backdate(confirmed.pk)

    assert as_json()[1]["orders"] == {}
    assert as_json("--full")[1]["orders"] == {"confirmed": 1}


def test_what_is_under_way_is_a_finding_at_rest(shop: Shop) -> None:
    shop.place()

    assert as_json()[0] == 0
    status, said = as_json("--at-rest")

    assert status == 1
    assert [each["code"] for each in said["findings"]] == ["T6"]


def test_lateness_is_a_finding_and_none_where_safety_alone_is_asked_for(shop: Shop) -> None:
    shop.place()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_ordertransition SET at = at - interval '1 day'")
        cursor.execute("UPDATE orders_order SET created_at = created_at - interval '1 day'")

    status, said = as_json()
    safe, said_of_safety = as_json("--safety")

    assert (status, [each["code"] for each in said["findings"]]) == (1, ["T6"])
    assert (safe, said_of_safety["findings"]) == (0, [])


def test_what_is_unsafe_is_a_finding_however_late_things_are(miscounted: Order) -> None:
    assert check_invariants("--safety")[0] == 1


def test_nothing_is_written_unless_it_is_asked_for(miscounted: Order) -> None:
    before = everything()

    check_invariants("--full")

    assert everything() == before


def test_what_is_found_can_be_recorded(miscounted: Order) -> None:
    assert check_invariants("--record")[0] == 1

    assert ReconciliationBreak.objects.get().subject == str(miscounted.pk)


def test_what_a_statement_says_is_not_recorded(miscounted: Order, tmp_path: Path) -> None:
    statement = tmp_path / "empty.json"
    statement.write_text("[]")

    with pytest.raises(CommandError, match="findings by a statement are not recorded"):
        check_invariants("--record", "--statement", str(statement))

    assert not ReconciliationBreak.objects.exists()
