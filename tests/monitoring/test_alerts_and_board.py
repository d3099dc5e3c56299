"""What Prometheus and Grafana are given: it asks for what exists, and says what it should."""

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
    """The labels of what this code counts and asks, by the names under which Prometheus finds it."""
    found = {}
    for module in DECLARED:
        for each in vars(module).values():
            if hasattr(each, "_type") and hasattr(each, "_name"):
                name = each._name + {"counter": "_total"}.get(each._type, "")
                found[name] = set(each._labelnames)
                if each._type == "histogram":
                    found[f"{name}_bucket"] = {*each._labelnames, "le"}
    for family in DatabaseMetrics().collect():
        found[family.name] = set(family._labelnames)  # type: ignore[attr-defined]
    return found


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"holdfast_\w+", expression))


def labels_in(expression: str) -> set[str]:
    """The labels by which it sums, and those that it selects by."""
    grouped = ",".join(re.findall(r"by \(([^)]*)\)", expression))
    return set(re.findall(r"\w+", grouped)) | set(re.findall(r"(\w+)[!=]=?~?\"", expression))


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    documented = set(re.findall(r"^\| `(holdfast_\w+)`", page("monitoring.md"), re.MULTILINE))

    assert documented == {name for name in existing() if not name.endswith("_bucket")}


def test_every_expression_asks_for_metrics_and_labels_that_exist() -> None:
    exists = existing()
    asked = [*expressions(), *(rule["expr"] for rule in rules())]

    assert asked
    for expression in asked:
        names = names_in(expression)
        assert names, expression
        assert names <= exists.keys(), expression
        assert labels_in(expression) <= set().union(*(exists[each] for each in names)), expression


def test_every_alert_leads_to_a_runbook() -> None:
    assert rules()
    for rule in rules():
        runbook = ROOT / rule["annotations"]["runbook"]
        assert runbook.parent == DOCS / "runbooks"
        # So that whoever is woken sees to be in the right place.
        assert rule["alert"] in runbook.read_text()
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_every_alert_that_a_runbook_names_is_one() -> None:
    runbooks = [each.read_text() for each in (DOCS / "runbooks").glob("*.md")]
    named = {name for text in runbooks for name in re.findall(r"\bHoldfast[A-Z]\w+", text)}

    assert named
    assert named <= {rule["alert"] for rule in rules()}


def test_the_board_shows_every_metric_that_there_is() -> None:
    shown = {name.removesuffix("_bucket") for each in expressions() for name in names_in(each)}

    assert shown == {name.removesuffix("_bucket") for name in existing()}


def test_no_two_panels_of_the_board_lie_on_each_other() -> None:
    cells = [
        (x, y)
        for panel in panels()
        for place in (panel["gridPos"],)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_a_legend_names_only_what_its_expression_keeps() -> None:
    for panel in panels():
        for target in panel.get("targets", ()):
            told = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert told <= labels_in(target["expr"]), panel["title"]


def test_alerts_fire_when_they_should_and_only_then() -> None:
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
