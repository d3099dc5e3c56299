"""The report of a chaos run: its verdict, its figures, and the number of tries behind each."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Column, Table

from proof.chaos.checker import CANCELLED, CONFIRMED, Confirmable, Finding, confirmable, findings
from proof.chaos.plan import Plan, SubmitStyle
from proof.chaos.request_log import WAIT_ANSWERS, CustomerResponses
from proof.chaos.run import REST_SECONDS, ChaosResult

RULE_OF_THREE: Final = 3
"""No event in N trials bounds its rate by 3/N at 95 % (Hanley and Lippman-Hand, 1983)."""


class Verdict(IntEnum):
    """The exit status of a run."""

    PASSED = 0
    FINDING = 1
    INVALID = 3  # too few orders were confirmed, so the run proves nothing


class Promise(NamedTuple):
    """A guarantee, the kinds of finding that break it, and the figure that counts its tries."""

    name: str
    broken_by: frozenset[str]
    tried_on: str


PROMISES: Final = (
    Promise(
        "no ghost charge",
        frozenset({"ghost charge", "money without an order", "reported cancelled, but charged"}),
        "orders",
    ),
    Promise("no card charged twice", frozenset({"charged twice"}), "provider_intents"),
    Promise(
        "confirmed is paid, to the cent",
        frozenset(
            {
                "wrong amount",
                "confirmed without money",
                "reported confirmed, but charged another sum",
            }
        ),
        "confirmed",
    ),
    Promise(
        "no lost order",
        frozenset({"lost order", "key belongs to another order", "own order rejected"}),
        "acked",
    ),
    Promise("every customer gets a response", frozenset({"no response"}), "customers"),
    Promise(
        "one key, one order",
        frozenset(
            {
                "one key, several orders",
                "order without a customer",
                "accepted and rejected",
                "rejected, but ordered",
                "rejected without a reason",
            }
        ),
        "customers",
    ),
    Promise(
        "the cart and total that were accepted",
        frozenset({"different cart", "different total"}),
        "acked",
    ),
    Promise("every order ends", frozenset({"not ended", "no final status"}), "orders"),
    Promise(
        "a final status stays, and has a reason",
        frozenset(
            {
                "final status changed",
                "accepted cancellation without effect",
                "cancelled without a reason",
            }
        ),
        "orders",
    ),
    Promise(
        "no stock oversold or lost", frozenset({"stock not conserved", "oversold"}), "products"
    ),
    Promise(
        "a reviewed order goes on only if it was approved",
        frozenset({"confirmed without approval", "approval still open"}),
        "orders_reviewed",
    ),
    Promise("every invariant", frozenset({"invariants broken"}), "invariant_checks"),
)


class ChaosReport(NamedTuple):
    """The verdict on a run, its findings, and its figures."""

    verdict: Verdict
    findings: list[Finding]
    confirmable: Confirmable
    figures: Mapping[str, Any]


def judge(plan: Plan, result: ChaosResult) -> ChaosReport:
    """Compare the ledgers, and return the report with its verdict."""
    found = findings(result.evidence)
    found += [
        Finding("not ended", f"after {REST_SECONDS} s", description)
        for description in result.unfinished
    ]
    found += [Finding("invariants broken", when, output) for when, output in result.broken]
    share = confirmable(result.evidence)
    verdict = Verdict.PASSED if share.is_enough else Verdict.INVALID
    if found:
        verdict = Verdict.FINDING
    return ChaosReport(verdict, found, share, {**_counts(result), **result.figures, **_plan(plan)})


def _plan(plan: Plan) -> dict[str, Any]:
    return {"seed": plan.seed, "seconds": plan.seconds}


def _counts(result: ChaosResult) -> dict[str, Any]:
    visits, responses_by_visit, (database, provider), _ = result.evidence
    all_responses = responses_by_visit.values()
    statuses = Counter(order.status for order in database.orders.values())
    reasons = Counter(order.reason for order in database.orders.values() if order.reason)
    return {
        "customers": len(visits),
        "double_clicks": sum(visit.style == SubmitStyle.DOUBLE_CLICK for visit in visits),
        "abandoned": sum(visit.style == SubmitStyle.ABANDON for visit in visits),
        "acked": sum(bool(responses.placed) for responses in all_responses),
        "cancels_acked": sum(responses.cancel_was_acked for responses in all_responses),
        "requests_without_a_response": sum(responses.unknowns for responses in all_responses),
        "orders_reviewed": sum(
            visit.is_large and bool(responses_by_visit[visit.number].placed) for visit in visits
        ),
        "waits_ended": _waits_ended(all_responses),
        "orders": len(database.orders),
        "confirmed": statuses[CONFIRMED],
        "cancelled": statuses[CANCELLED],
        "cancelled_because": dict(sorted(reasons.items())),
        "provider_intents": len(provider),
        "products": len(database.stock),
        "recovery_seconds": round(result.rest_seconds, 1),
    }


def _waits_ended(all_responses: Iterable[CustomerResponses]) -> dict[str, int]:
    """Return for how many orders a wait was ended in each way."""
    counts = Counter(kind for responses in all_responses for kind in responses.answered)
    return {kind.value: counts[kind] for kind in sorted(WAIT_ANSWERS)}


def promises(report: ChaosReport) -> list[dict[str, Any]]:
    """Return for each promise how often it was broken, its tries, and the bound of its rate."""
    found = Counter(finding.kind for finding in report.findings)
    rows = []
    for promise in PROMISES:
        tries = report.figures[promise.tried_on]
        broken = sum(found[kind] for kind in promise.broken_by)
        bound = round(min(1.0, RULE_OF_THREE / tries), 5) if tries and not broken else None
        rows.append({"promise": promise.name, "broken": broken, "of": tries, "at_most": bound})
    return rows


def as_json(report: ChaosReport) -> dict[str, Any]:
    return {
        "verdict": report.verdict.name.lower(),
        "findings": [finding._asdict() for finding in report.findings],
        "promises": promises(report),
        "confirmable": report.confirmable.orders,
        "confirmable_confirmed": report.confirmable.confirmed,
        **report.figures,
    }


def save(report: ChaosReport, folder: Path) -> None:
    """Write the report as JSON beside the run's traces, and as the report of the last run."""
    text = json.dumps(as_json(report), indent=2) + "\n"
    (folder / "report.json").write_text(text)
    (folder.parent / "report.json").write_text(text)


def show(report: ChaosReport, console: Console) -> None:
    """Print the figures, the promises, and the first 50 findings."""
    table = Table("figure", Column("", overflow="fold"), title="Chaos")
    for name, value in as_json(report).items():
        if name not in ("findings", "promises"):
            table.add_row(name.replace("_", " "), _in_words(value))
    console.print(table)
    promise_table = Table("promise", "broken", "of", "at 95 % at most", title="Promises")
    for row in promises(report):
        bound = "" if row["at_most"] is None else f"{row['at_most']:.3%}"
        promise_table.add_row(row["promise"], str(row["broken"]), str(row["of"]), bound)
    console.print(promise_table)
    if not report.findings:
        return
    columns = (Column("subject", overflow="fold"), Column("detail", overflow="fold"))
    finding_table = Table("finding", *columns)
    for finding in report.findings[:50]:
        finding_table.add_row(*finding)
    console.print(finding_table)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(number)}" for name, number in value.items()) or "none"
    return str(value)
