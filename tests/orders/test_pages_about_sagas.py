"""The pages of docs/ show steps, tests and sagas as they are in the code."""

from collections.abc import Mapping
from typing import Any

import pytest

import orders.saga
import proof.scenarios
from config.env import Section
from orders.steps import CHECKOUT_QUEUE
from proof.scenario_acts import WaitUntil
from proof.scenarios import SCENARIOS
from sagas import registry
from sagas.definition import Saga, Step
from sagas.descriptions import StepText
from sagas.shapes import shape_of
from sagas.work import Local, do_nothing
from tests.support.doc_excerpts import excerpts
from tests.support.fraud_review import await_fraud_review
from tests.support.source_files import ROOT

HOOKS = ("on_compensating", "on_compensated", "on_completed")
FIRST_SHOWN = "@pytest.fixture(autouse=True)\ndef with_fraud_review"


def test_the_step_of_the_fraud_review() -> None:
    [(_, page)] = excerpts("waits.md", "orders/fraud_review.py")

    assert page == (ROOT / "tests" / "support" / "fraud_review.py").read_text()


def test_the_tests_of_the_fraud_review() -> None:
    [(_, page)] = excerpts("waits.md", "tests/orders/test_fraud_review.py")
    ours = (ROOT / "tests" / "orders" / "test_fraud_review_example.py").read_text()

    head, _, tests = page.partition(FIRST_SHOWN)
    assert tests == ours.partition(FIRST_SHOWN)[2]
    docstring, *imports = head.splitlines()
    assert docstring.startswith('"""')
    assert set(imports) <= set(ours.splitlines())


def test_the_setting_of_the_fraud_review_is_off_by_default() -> None:
    [(_, page)] = excerpts("waits.md", "config/settings.py")
    names: dict[str, Any] = {"_review": Section("Review of orders")}

    exec(page, names)  # noqa: S102 - our own page

    assert names["FRAUD_REVIEW"] is False


def test_the_scenario_of_the_fraud_review_is_like_that_of_the_review() -> None:
    [(_, page)] = excerpts("waits.md", "proof/scenarios.py")
    [ours] = [scenario for scenario in SCENARIOS if scenario.name == "review-approved"]

    shown = eval(page, dict(vars(proof.scenarios)))  # noqa: S307 - our own page

    acts = [
        WaitUntil(await_fraud_review.name) if isinstance(act, WaitUntil) else act
        for act in ours.acts
    ]
    assert list(shown.acts) == acts
    assert (shown.ends, shown.settings) == (ours.ends, {"FRAUD_REVIEW": True})


class Names(dict[str, Any]):
    """The names of ``orders/saga.py``; every other name is a new local step."""

    def __missing__(self, name: str) -> Step:
        text = StepText(name, name)
        step = Step(name, CHECKOUT_QUEUE, Local(do_nothing, text))
        step.compensation(describe=text)(do_nothing)
        return step


def shown_sagas(page: str) -> Mapping[str, Saga]:
    """Return the sagas that a page defines, by the names of their variables."""
    names, ours = Names(vars(orders.saga)), vars(orders.saga)
    for _, code in excerpts(page, "orders/saga.py"):
        exec(code, {}, names)  # noqa: S102 - our own page
    return {
        name: value
        for name, value in names.items()
        if isinstance(value, Saga) and value is not ours.get(name)
    }


@pytest.mark.parametrize("page", ["a-new-step.md", "changing-a-saga.md", "waits.md"])
def test_the_old_version_of_a_saga_is_ours_and_the_new_one_keeps_its_steps(page: str) -> None:
    shown = shown_sagas(page)

    old_names = {name for name in shown if name.endswith("_1")}
    assert "CHECKOUT_1" in old_names
    assert shown.keys() == old_names | {name.removesuffix("_1") for name in old_names}
    for name in old_names:
        old, new = shown[name], shown[name.removesuffix("_1")]
        ours = registry.get(old.name, old.version)
        assert shape_of(old) == shape_of(ours)
        assert hooks_of(old) == hooks_of(new) == hooks_of(ours)
        assert (new.name, new.version) == (old.name, old.version + 1)
        renamed = new.takes_over.get(old.version, {})
        kept = [renamed.get(step.name, step.name) for step in old.steps]
        assert [step.name for step in new.steps if step.name in kept] == kept
        assert len(new.steps) == len(kept) + 1
        same = ("compensation_queue", "compensating_only", "signals")
        assert [shape_of(new)[key] for key in same] == [shape_of(old)[key] for key in same]


def hooks_of(saga: Saga) -> list[object]:
    return [getattr(saga, hook) for hook in HOOKS]
