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
        "recovery_seconds": round(outcome.rest_seconds, 1),
    }


def as_json(report: Report) -> dict[str, Any]:
    orders = report.figures["orders"]
    return {
        "verdict": report.verdict.name.lower(),
        "findings": [finding._asdict() for finding in report.findings],
        "at_most_one_order_in": round(orders / RULE_OF_THREE) if orders else None,
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
        if name not in ("findings", "at_most_one_order_in"):
            table.add_row(name.replace("_", " "), _in_words(value))
    console.print(table)
    if not report.findings:
        orders = report.figures["orders"]
        console.print(
            f"0 findings in {orders} orders: at 95 % fewer than 3/{orders} of them can be wrong."
        )
        return
    wrong = Table("finding", Column("subject", overflow="fold"), Column("detail", overflow="fold"))
    for finding in report.findings[:50]:
        wrong.add_row(*finding)
    console.print(wrong)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(each)}" for name, each in value.items()) or "none"
    return str(value)
