"""The list of the application's packages.

Settings, tools and the import contracts of ``pyproject.toml`` take their lists from it.
"""

from itertools import chain
from typing import Final

LAYERS: Final = (
    ("config",),
    ("desk",),
    ("monitoring",),
    ("invariants",),
    ("orders",),
    ("payments", "inventory", "access", "approvals"),
    ("events",),
    ("sagas", "outbound"),
    ("adminkit",),
    ("money", "clock", "bulk_sql"),
)
"""From top to bottom. A package imports only from layers below its own."""

PACKAGES: Final = tuple(chain.from_iterable(LAYERS))

TOOLS: Final = ("sandbox", "benchmarks", "proof")
"""Packages that run, measure and prove the application. The application imports none of them."""
