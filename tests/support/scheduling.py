"""Pytest plugin: how many workers there are, and that the slowest files come first.

``make test`` gives whole files to its workers, in the order in which they were collected. With the
slowest first, all workers end at about the same time.
"""

import os
from typing import Final

import pytest

LONGEST_FILES: Final = (
    "tests/sandbox_run/test_demo_and_up.py",
    "tests/proof/test_every_scenario.py",
    "tests/browser/test_pages.py",
    "tests/journeys/test_real_workers.py",
    "tests/sandbox_run/test_start_and_end.py",
    "tests/journeys/test_a_year_later.py",
    "tests/openapi/test_fuzzing.py",
    "tests/journeys/test_live_streams.py",
    "tests/properties/test_orders.py",
    "tests/monitoring/test_canaries.py",
    "tests/events/test_killed_relays.py",
    "tests/events/test_transports.py",
    "tests/protocol/test_search.py",
    "tests/desk/test_crawl.py",
    "tests/config/test_deploy_check.py",
    "tests/journeys/test_bodies_on_the_wire.py",
    "tests/monitoring/test_tracing.py",
    "tests/access/test_route_matrix.py",
    "tests/desk/test_lists.py",
)
"""Files that take over ten seconds, longest first."""


@pytest.hookimpl(tryfirst=True)  # before that of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than cores: workers wait for servers that they have started."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {file: rank for rank, file in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))
