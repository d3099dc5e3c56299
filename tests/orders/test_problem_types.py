"""The documented problems are those that the API answers with, each with its status."""

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus

from orders.api.problems import _SLUGS
from tests.architecture.source_files import ROOT, python_files

ROW = re.compile(r"^\| `/problems/([a-z-]+)` \| (\d{3}) \|", re.MULTILINE)


def test_every_problem_is_documented_and_nothing_else_is() -> None:
    rows = ROW.findall((ROOT / "docs" / "problems.md").read_text())

    assert len(rows) == len(set(rows))
    assert {(slug, int(status)) for slug, status in rows} == {*written(), *translated()}


def written() -> Iterator[tuple[str, int]]:
    """What our own code raises, as it stands in the source."""
    for source in python_files("orders"):
        for name, call in source.calls():
            match call.args[:2]:
                case [ast.Attribute(attr=status), ast.Constant(value=str(slug))]:
                    if name == "Problem":
                        yield slug, HTTPStatus[status]


def translated() -> Iterator[tuple[str, int]]:
    """What REST framework raises."""
    for kind, slug in _SLUGS.items():
        yield slug, kind.status_code
