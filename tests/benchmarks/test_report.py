"""The JSON document of a benchmark, and its tables beside an earlier one."""

import io
import json

from rich.console import Console

from benchmarks.bench import BenchResult, Check
from benchmarks.plan import Plan
from benchmarks.report import as_json, show
from benchmarks.single_order import BUDGET, SingleOrderCosts

MOST = BUDGET["SQL statements"]


def result(*, statements: float, rate: float, ledgers_agree: bool = True) -> BenchResult:
    cost = {**BUDGET, "SQL statements": statements}
    return BenchResult(
        alone=SingleOrderCosts(
            10, 52.4, {"up to confirmed": cost}, [("web", "SELECT a FROM b", 1)]
        ),
        windows=[
            {"orders confirmed per second": rate, "CPU ms per order, web": 4, "slow": 2},
            {"orders confirmed per second": rate * 3, "CPU ms per order, web": 4, "slow": 2},
            {"orders confirmed per second": rate * 2, "CPU ms per order, web": 6, "slow": 2},
        ],
        statements=[("web", "SELECT a FROM b", 0.5)],
        profile={},
        failures={"503 unavailable": 3},
        checks=[Check("ledgers agree", ledgers_agree, "all of them")],
        durability={"fsync": "on"},
    )


def report_text(new: object, old: object) -> str:
    """Return the printed report of documents that were saved and loaded again."""
    console = Console(file=io.StringIO(), width=160)
    show(json.loads(json.dumps(new)), json.loads(json.dumps(old)), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, name: str) -> list[str]:
    """Return the cells of the row with this name."""
    [line] = [line for line in text.splitlines() if line.startswith(f"│ {name} ")]
    return [cell.strip() for cell in line.strip("│").split("│")][1:]


def test_the_document_has_medians_their_normalised_values_and_a_verdict() -> None:
    document = as_json(
        Plan(latency_ms=200), result(statements=MOST + 1, rate=10, ledgers_agree=False)
    )

    assert document["title"].startswith(
        "closed-48, provider 200 ms, two-line carts, without Flower"
    )
    assert document["figures"] == {
        "orders confirmed per second": 20,
        "CPU ms per order, web": 4,
        "slow": 2,
    }
    assert document["normalised"] == {
        "orders confirmed per second": 40,
        "CPU ms per order, web": 2,
    }
    assert document["ok"] is False
    assert document["over budget"] == [f"SQL statements: {MOST + 1}, budget {MOST}"]


def test_a_cost_within_the_budget_is_not_marked() -> None:
    document = as_json(Plan(), result(statements=MOST, rate=10))

    assert document["over budget"] == []
    assert document["ok"] is True
    assert "OVER BUDGET" not in report_text(document, None)


def test_the_report_shows_ratios_to_an_earlier_run_and_its_counts() -> None:
    new = as_json(Plan(), result(statements=MOST + 1, rate=30))
    old = as_json(Plan(rate=5), result(statements=41, rate=20))

    text = report_text(new, old)

    assert "compared with open-5, provider 0 ms" in text
    assert row(text, "orders confirmed per second") == ["60", "120", "1.5", "1.5"]
    assert row(text, "CPU ms per order, web") == ["4", "2", "1", "1"]
    assert row(text, "SQL statements") == [str(MOST + 1), str(MOST), "41"]
    assert f"OVER BUDGET SQL statements: {MOST + 1}, budget {MOST}" in text
    assert "3 failed: 503 unavailable" in text
    assert "ok ledgers agree" in text


def test_statements_are_shown_alone_and_under_load() -> None:
    text = report_text(as_json(Plan(), result(statements=MOST, rate=1)), None)

    assert row(text, "web") == ["SELECT … FROM b", "1", "0.5"]
