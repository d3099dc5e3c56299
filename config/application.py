"""The application's packages. Every other list of them is made from this one, or compared with it."""

from itertools import chain
from typing import Final

LAYERS: Final = (
    ("config",),
    ("desk",),
    ("monitoring",),
    ("invariants",),
    ("orders",),
    ("payments", "inventory", "access"),
    ("events",),
    ("sagas", "outbound"),
    ("adminkit",),
    ("money",),
)
"""From the top to the bottom: a package imports only from layers below its own."""

PACKAGES: Final = tuple(chain.from_iterable(LAYERS))

TOOLS: Final = ("sandbox", "benchmarks", "proof")
"""What runs, measures and proves the application. No package of the application imports them."""
