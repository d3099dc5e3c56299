"""Lists: newest first, page by page, limited by time."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe  # noqa: TID251 - the contract under test

from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import TEST_KEY, RawApi


@pytest.fixture
def five(own_server: SandboxServer, own_api: RawApi) -> list[str]:
    """Create five intents, a minute apart; return their ids, newest first."""
    intents = []
    for _ in range(5):
        own_server.advance(60)
        intents.append(own_api.new_intent())
    return intents[::-1]


def test_a_list_starts_with_the_newest(own_api: RawApi, five: list[str]) -> None:
    listed = own_api.get("payment_intents")

    assert listed.ids == five
    assert listed.body["has_more"] is False


def test_pages_follow_each_other_without_gap_or_overlap(own_api: RawApi, five: list[str]) -> None:
    first = own_api.get("payment_intents", {"limit": 2})
    second = own_api.get("payment_intents", {"limit": 2, "starting_after": five[1]})
    last = own_api.get("payment_intents", {"limit": 2, "starting_after": five[3]})

    assert [first.ids, second.ids, last.ids] == [five[:2], five[2:4], five[4:]]
    assert [page.body["has_more"] for page in (first, second, last)] == [True, True, False]


def test_pages_can_be_read_backwards(own_api: RawApi, five: list[str]) -> None:
    before_last = own_api.get("payment_intents", {"limit": 2, "ending_before": five[4]})
    before_second = own_api.get("payment_intents", {"limit": 2, "ending_before": five[1]})

    assert (before_last.ids, before_last.body["has_more"]) == (five[2:4], True)
    assert (before_second.ids, before_second.body["has_more"]) == (five[:1], False)


def test_an_intent_created_between_two_pages_moves_neither(
    own_api: RawApi, five: list[str]
) -> None:
    own_api.get("payment_intents", {"limit": 2})
    own_api.new_intent()

    second = own_api.get("payment_intents", {"limit": 2, "starting_after": five[1]})

    assert second.ids == five[2:4]


def test_the_official_library_reads_all_pages(own_server: SandboxServer, five: list[str]) -> None:
    client = stripe.StripeClient(TEST_KEY, base_addresses={"api": own_server.url})

    listed = client.v1.payment_intents.list({"limit": 2}).auto_paging_iter()

    assert [intent.id for intent in listed] == five


WINDOWS: list[tuple[str, Callable[[int], Any], slice]] = [
    ("after", lambda t: {"gt": t}, slice(0, 2)),
    ("since", lambda t: {"gte": t}, slice(0, 3)),
    ("before", lambda t: {"lt": t}, slice(3, 5)),
    ("until", lambda t: {"lte": t}, slice(2, 5)),
    ("exactly", lambda t: t, slice(2, 3)),
    ("between", lambda t: {"gt": t - 90, "lt": t + 90}, slice(1, 4)),
    ("never", lambda t: {"gt": t, "lt": t}, slice(0, 0)),
]


@pytest.mark.parametrize(
    ("window", "expected"), [case[1:] for case in WINDOWS], ids=[case[0] for case in WINDOWS]
)
def test_a_list_can_be_limited_by_time(
    own_api: RawApi, five: list[str], window: Callable[[int], Any], expected: slice
) -> None:
    middle = own_api.get(f"payment_intents/{five[2]}").body["created"]

    listed = own_api.get("payment_intents", {"created": window(middle)})

    assert listed.ids == five[expected]


def test_time_and_cursor_limit_a_list_together(own_api: RawApi, five: list[str]) -> None:
    second, fourth = (own_api.get(f"payment_intents/{five[at]}").body["created"] for at in (1, 3))

    since = {"created": {"gte": fourth}, "starting_after": five[0]}
    until = {"created": {"lte": fourth}, "starting_after": five[0]}
    before = {"created": {"gte": second}, "ending_before": five[4]}

    assert own_api.get("payment_intents", since).ids == five[1:4]
    assert own_api.get("payment_intents", until).ids == five[3:]
    assert own_api.get("payment_intents", before).ids == five[:2]


def test_intents_are_listed_by_customer(own_api: RawApi) -> None:
    mine = own_api.new_intent(customer="cus_mine")
    own_api.new_intent(customer="cus_other")
    own_api.new_intent()

    listed = own_api.get("payment_intents", {"customer": "cus_mine"})

    assert (listed.ids, listed.body["has_more"]) == ([mine], False)


def test_refunds_are_listed_by_payment_and_by_charge(api: RawApi) -> None:
    intent, other = api.captured(), api.captured()
    refunds = [
        api.post("refunds", {"payment_intent": intent, "amount": amount}).id for amount in (1, 2, 3)
    ]
    api.post("refunds", {"payment_intent": other})
    charge = api.get(f"payment_intents/{intent}").body["latest_charge"]

    by_intent = api.get("refunds", {"payment_intent": intent, "limit": 2})
    by_charge = api.get("refunds", {"charge": charge, "starting_after": refunds[1]})

    assert (by_intent.ids, by_intent.body["has_more"]) == (refunds[:0:-1], True)
    assert (by_charge.ids, by_charge.body["has_more"]) == (refunds[:1], False)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"limit": 0}, "parameter_invalid_integer"),
        ({"limit": 101}, "parameter_invalid_integer"),
        ({"limit": "many"}, "parameter_invalid_integer"),
        ({"starting_after": "pi_unknown"}, "resource_missing"),
        ({"starting_after": "pi_a", "ending_before": "pi_b"}, "parameters_exclusive"),
        ({"created": {"around": 7}}, "parameter_unknown"),
    ],
    ids=["no items", "too many items", "not a number", "unknown cursor", "two cursors", "window"],
)
def test_invalid_list_parameters_are_rejected(
    api: RawApi, parameters: dict[str, Any], code: str
) -> None:
    rejection = api.get("payment_intents", parameters)

    assert (rejection.status, rejection.error["code"]) == (400, code)
