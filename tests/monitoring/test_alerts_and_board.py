"""Alerts, board and documentation name exactly the metrics and labels that exist."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

import monitoring.request_metrics
import orders.metrics
import outbound.metrics
import sagas.metrics
from monitoring.database_metrics import DatabaseMetrics
from tests.support.source_files import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

DECLARED = (monitoring.request_metrics, orders.metrics, outbound.metrics, sagas.metrics)
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text()


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(page("alerts.yml"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(page("grafana.json"))["panels"]
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def existing() -> dict[str, set[str]]:
    """Return the labels of each of our metrics, by the name that Prometheus knows."""
    found = {}
    for module in DECLARED:
        for value in vars(module).values():
            if hasattr(value, "_type") and hasattr(value, "_name"):
                name = value._name + {"counter": "_total"}.get(value._type, "")
                found[name] = set(value._labelnames)
                if value._type == "histogram":
                    found[f"{name}_bucket"] = {*value._labelnames, "le"}
    for family in DatabaseMetrics().collect():
        found[family.name] = set(family._labelnames)  # type: ignore[attr-defined]
    return found


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"holdfast_\w+", expression))


def labels_in(expression: str) -> set[str]:
    """Return the labels that an expression groups or selects by."""
    grouped = ",".join(re.findall(r"by \(([^)]*)\)", expression))
    return set(re.findall(r"\w+", grouped)) | set(re.findall(r"(\w+)[!=]=?~?\"", expression))


def test_the_documented_metrics_are_those_that_exist() -> None:
    documented = set(re.findall(r"^\| `(holdfast_\w+)`", page("monitoring.md"), re.MULTILINE))

    assert documented == {name for name in existing() if not name.endswith("_bucket")}


def test_expressions_use_existing_metrics_and_labels() -> None:
    known = existing()
    used = [*expressions(), *(rule["expr"] for rule in rules())]

    assert used
    for expression in used:
        names = names_in(expression)
        assert names, expression
        assert names <= known.keys(), expression
        assert labels_in(expression) <= set().union(*(known[name] for name in names)), expression


def test_every_alert_has_a_runbook() -> None:
    assert rules()
    for rule in rules():
        runbook = ROOT / rule["annotations"]["runbook"]
        assert runbook.parent == DOCS / "runbooks"
        # The runbook names its alert, so that operators see that it is the right page.
        assert rule["alert"] in runbook.read_text()
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_runbooks_name_existing_alerts() -> None:
    runbooks = [path.read_text() for path in (DOCS / "runbooks").glob("*.md")]
    named = {name for text in runbooks for name in re.findall(r"\bHoldfast[A-Z]\w+", text)}

    assert named
    assert named <= {rule["alert"] for rule in rules()}


def test_the_board_shows_every_metric() -> None:
    shown = {
        name.removesuffix("_bucket")
        for expression in expressions()
        for name in names_in(expression)
    }

    assert shown == {name.removesuffix("_bucket") for name in existing()}


def test_panels_of_the_board_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in panels()
        for grid in (panel["gridPos"],)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]

    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_legends_use_labels_that_their_expression_keeps() -> None:
    for panel in panels():
        for target in panel.get("targets", ()):
            labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert labels <= labels_in(target["expr"]), panel["title"]


def test_alerts_fire_as_the_rule_tests_expect() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool on the path: apt-get install prometheus")

    finished = subprocess.run(
        [promtool, "test", "rules", "docs/alerts_test.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
