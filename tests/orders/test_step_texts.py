"""The texts of every step: for staff, for customers, and for its rejections."""

import pytest

from money.amounts import format_amount
from orders.saga import CANCELLATION, CHECKOUT, SAGAS
from orders.steps import PAYMENT_PROVIDER
from payments.admin_queries import KEYS
from sagas import registry
from sagas.definition import Step
from sagas.queries.definitions import find_rejection_text, find_work, system_called, systems
from sagas.work import Compensate, Remote, Work

STEPS = [step for saga in registry.all_sagas() for step in saga.steps]
WORKS = [
    pytest.param(work, id=name) for step in STEPS for name, work in step.action_and_compensation
]

FIELDS = {"amount": format_amount(1000, "eur"), "method": "pm_card_visa"}
"""The fields that the desk fills in."""


@pytest.mark.parametrize("work", WORKS)
def test_each_step_and_compensation_has_names_for_staff_and_customers(
    work: Work,
) -> None:
    text = work.describe

    assert text.staff[0].islower()
    assert text.customer[0].isupper()
    assert [name for name in (text.staff, text.customer) if name != name.strip(" .:")] == []
    assert "_" not in text.staff + text.customer


@pytest.mark.parametrize("work", WORKS)
def test_each_call_has_a_system_and_a_description(work: Work) -> None:
    if not isinstance(work, Remote):
        assert work.describe.request_text == ""
        return

    request_text = work.describe.request_text.format(**FIELDS)

    assert work.system in systems()
    assert request_text.endswith(".")
    assert "{" not in request_text


@pytest.mark.parametrize("work", WORKS)
def test_each_call_to_the_payment_provider_names_its_operations(work: Work) -> None:
    if isinstance(work, Remote) and work.system == PAYMENT_PROVIDER:
        assert work.operations
        assert set(work.operations) <= set(KEYS)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_each_rejection_code_has_messages_that_can_be_formatted(step: Step) -> None:
    for code, text in step.rejection_texts.items():
        for detail in (*text.by_detail, "MUG"):
            for is_compensated in (True, False):
                sentence = text.for_customer(detail, is_compensated=is_compensated)
                assert sentence.endswith("."), code
                assert "{" not in sentence, code
        assert find_rejection_text(code) == text
    if isinstance(step.action, Remote) and step.action.retry.max_attempts is not None:
        is_compensating = isinstance(step.action.when_spent, Compensate)
        assert (step.unanswered_code in step.rejection_texts) == is_compensating


def test_every_step_is_found_by_the_name_of_its_attempts() -> None:
    for step in STEPS:
        for name, work in step.action_and_compensation:
            assert find_work(name) is work
    assert find_work("unknown_step") is None
    assert system_called("unknown_step") == system_called("reserve_stock") == ""
    assert system_called("void_authorization") == "payment_provider"
    assert find_rejection_text("unknown_code") is None


def test_every_saga_of_orders_is_registered() -> None:
    assert list(registry.all_sagas()) == list(SAGAS)
    assert {CHECKOUT, CANCELLATION} <= set(SAGAS)
    assert PAYMENT_PROVIDER in systems()
