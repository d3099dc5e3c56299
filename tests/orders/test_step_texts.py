"""What every step of the installation says of itself: to staff, to customers, of its rejections."""

import pytest

from money.amounts import format_amount
from payments.admin_queries import KEYS
from sagas import registry
from sagas.definition import Compensate, Remote, Step, Work

STEPS = [step for saga in registry.all_sagas() for step in saga.steps]
WORKS = [pytest.param(work, id=name) for step in STEPS for name, work in step.works]

FIELDS = {"amount": format_amount(1000, "eur"), "method": "pm_card_visa"}
"""What the desk fills in."""


@pytest.mark.parametrize("work", WORKS)
def test_a_step_and_its_compensation_have_a_name_for_staff_and_one_for_customers(
    work: Work,
) -> None:
    text = work.describe

    assert text.staff[0].islower()
    assert text.customer[0].isupper()
    assert [each for each in (text.staff, text.customer) if each != each.strip(" .:")] == []
    assert "_" not in text.staff + text.customer


@pytest.mark.parametrize("work", WORKS)
def test_a_call_names_its_system_and_says_what_it_asks(work: Work) -> None:
    if not isinstance(work, Remote):
        assert work.describe.asks == ""
        return

    asks = work.describe.asks.format(**FIELDS)

    assert work.system in registry.systems()
    assert asks.endswith(".")
    assert "{" not in asks
    assert set(work.operations) <= set(KEYS)
    assert work.operations


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_each_code_has_sentences_that_can_be_formatted(step: Step) -> None:
    for code, text in step.rejection_texts.items():
        for detail in (*text.by_detail, "MUG"):
            for is_compensated in (True, False):
                sentence = text.for_customer(detail, is_compensated=is_compensated)
                assert sentence.endswith("."), code
                assert "{" not in sentence, code
        assert registry.find_rejection_text(code) == text
    if isinstance(step.action, Remote) and step.action.retry.max_attempts is not None:
        is_compensating = isinstance(step.action.when_spent, Compensate)
        assert (step.unanswered_code in step.rejection_texts) == is_compensating


def test_every_step_is_found_by_the_name_of_its_attempts() -> None:
    for step in STEPS:
        for name, work in step.works:
            assert registry.find_work(name) is work
    assert registry.find_work("burn") is None
    assert registry.system_called("burn") == registry.system_called("reserve_stock") == ""
    assert registry.system_called("void_authorization") == "payment_provider"
    assert registry.find_rejection_text("burnt") is None


def test_the_steps_above_are_all_of_them() -> None:
    assert {step.name for step in STEPS} == {
        "reserve_stock",
        "authorize_payment",
        "confirm_order",
        "capture_payment",
        "return_payment",
        "restock",
        "finish_cancelling",
    }
    assert registry.systems() == ["payment_provider"]
