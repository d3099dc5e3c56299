"""What a run is judged to be, with every figure's N."""

import json
from collections import Counter
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Column, Table

from proof.chaos.checker import CANCELLED, CONFIRMED, Confirmable, Finding, confirmable, findings
from proof.chaos.plan import Manner, Plan
from proof.chaos.run import REST_SECONDS, Outcome

RULE_OF_THREE: Final = 3
"""Nothing in N trials bounds the rate by 3/N at 95 % (Hanley and Lippman-Hand, 1983)."""


class Verdict(IntEnum):
    """The exit status of a run."""

    PASSED = 0
    FINDING = 1
    INVALID = 3  # too little went well for the rest to mean anything


class Promise(NamedTuple):
    """What is promised, the findings that would break it, and the figure that it was tried on."""

    name: str
    broken_by: frozenset[str]
    tried_on: str


PROMISES: Final = (
    Promise(
        "no ghost charge",
        frozenset({"ghost charge", "money without an order", "told cancelled, and charged"}),
        "orders",
    ),
    Promise("no card charged twice", frozenset({"charged twice"}), "intents_at_the_bank"),
    Promise(
        "confirmed is paid, to the cent",
        frozenset(
            {"wrong sum", "confirmed without money", "told confirmed, and charged otherwise"}
        ),
        "confirmed",
    ),
    Promise(
        "no lost order",
        frozenset({"lost order", "key of another order", "own order refused"}),
        "acked",
    ),
    Promise("everybody is answered in the end", frozenset({"no answer"}), "customers"),
    Promise(
        "one key, one order",
        frozenset(
            {
                "one key, several orders",
                "order of nobody",
                "accepted and refused",
                "refused, and ordered",
                "refused without a reason",
            }
        ),
        "customers",
    ),
    Promise("what was ordered", frozenset({"another cart", "another total"}), "acked"),
    Promise("every order ends", frozenset({"not ended", "no end"}), "orders"),
    Promise(
        "an end is the end, and has a reason",
        frozenset({"end that changed", "cancelled in vain", "cancelled without a reason"}),
        "orders",
    ),
    Promise(
        "no oversold and no lost stock", frozenset({"stock not conserved", "oversold"}), "products"
    ),
    Promise("every invariant", frozenset({"invariants broken"}), "invariant_checks"),
)


class Report(NamedTuple):
    """A judged run."""

    verdict: Verdict
    findings: list[Finding]
    confirmable: Confirmable
    figures: Mapping[str, Any]


def judge(plan: Plan, outcome: Outcome) -> Report:
    found = findings(outcome.evidence)
    found += [Finding("not ended", f"after {REST_SECONDS} s", what) for what in outcome.unfinished]
    found += [Finding("invariants broken", when, said) for when, said in outcome.broken]
    share = confirmable(outcome.evidence)
    verdict = Verdict.PASSED if share.is_enough else Verdict.INVALID
    if found:
        verdict = Verdict.FINDING
    return Report(verdict, found, share, {**_counts(outcome), **outcome.figures, **_plan(plan)})


def _plan(plan: Plan) -> dict[str, Any]:
    return {"seed": plan.seed, "seconds": plan.seconds}


def _counts(outcome: Outcome) -> dict[str, Any]:
    errands, told, (database, bank), _ = outcome.evidence
    statuses = Counter(order.status for order in database.orders.values())
    reasons = Counter(order.reason for order in database.orders.values() if order.reason)
    return {
        "customers": len(errands),
        "double_clicks": sum(errand.manner == Manner.DOUBLE_CLICK for errand in errands),
        "abandoned": sum(errand.manner == Manner.ABANDON for errand in errands),
        "acked": sum(bool(each.placed) for each in told.values()),
        "cancels_acked": sum(each.cancel_was_acked for each in told.values()),
        "requests_without_an_answer": sum(each.unknowns for each in told.values()),
        "orders": len(database.orders),
        "confirmed": statuses[CONFIRMED],
        "cancelled": statuses[CANCELLED],
        "cancelled_because": dict(sorted(reasons.items())),
        "intents_at_the_bank": len(bank),
        "products": len(database.shelves),
        "recovery_seconds": round(outcome.rest_seconds, 1),
    }


def promises(report: Report) -> list[dict[str, Any]]:
    """Say of each promise how often it was broken, in how many tries, and what that bounds."""
    found = Counter(finding.kind for finding in report.findings)
    kept = []
    for promise in PROMISES:
        tries = report.figures[promise.tried_on]
        broken = sum(found[kind] for kind in promise.broken_by)
        bound = round(min(1.0, RULE_OF_THREE / tries), 5) if tries and not broken else None
        kept.append({"promise": promise.name, "broken": broken, "of": tries, "at_most": bound})
    return kept


def as_json(report: Report) -> dict[str, Any]:
    return {
        "verdict": report.verdict.name.lower(),
        "findings": [finding._asdict() for finding in report.findings],
        "promises": promises(report),
        "confirmable": report.confirmable.orders,
        "confirmable_confirmed": report.confirmable.confirmed,
        **report.figures,
    }


def save(report: Report, folder: Path) -> None:
    """Write it beside the run's traces, and where the newest one is looked for."""
    text = json.dumps(as_json(report), indent=2) + "\n"
    (folder / "report.json").write_text(text)
    (folder.parent / "report.json").write_text(text)


def show(report: Report, console: Console) -> None:
    table = Table("figure", Column("", overflow="fold"), title="Chaos")
    for name, value in as_json(report).items():
        if name not in ("findings", "promises"):
            table.add_row(name.replace("_", " "), _in_words(value))
    console.print(table)
    proof = Table("promise", "broken", "of", "at 95 % at most", title="What was looked for")
    for each in promises(report):
        bound = "" if each["at_most"] is None else f"{each['at_most']:.3%}"
        proof.add_row(each["promise"], str(each["broken"]), str(each["of"]), bound)
    console.print(proof)
    if not report.findings:
        return
    wrong = Table("finding", Column("subject", overflow="fold"), Column("detail", overflow="fold"))
    for finding in report.findings[:50]:
        wrong.add_row(*finding)
    console.print(wrong)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(each)}" for name, each in value.items()) or "none"
    return str(value)
