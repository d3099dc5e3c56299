"""Pytest plugin: runs the slowest files first, so that all workers end at about the same time.

``make test`` gives whole files to its workers, in the order in which they were collected.
"""

from typing import Final

import pytest

LONGEST_FILES: Final = (
    "tests/proof/test_every_scenario.py",
    "tests/sandbox_run/test_demo_run.py",
    "tests/sandbox_run/test_supervised_run.py",
    "tests/properties/test_orders.py",
    "tests/properties/test_mutation_checks.py",
    "tests/openapi/test_fuzzing.py",
    "tests/journeys/test_real_workers.py",
    "tests/protocol/test_search.py",
    "tests/desk/test_crawl.py",
    "tests/monitoring/test_canaries.py",
    "tests/races/test_doubled_messages.py",
    "tests/invariants/test_mutation_checks.py",
)
"""Files that take over ten seconds, longest first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {file: rank for rank, file in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))
