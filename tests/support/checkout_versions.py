"""A version of the checkout that exists during a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from orders import services
from orders.saga import CHECKOUT
from sagas import registry
from sagas.definition import Step
from sagas.signal_types import Signal


@contextmanager
def placed_with(steps: tuple[Step, ...], signals: tuple[Signal, ...] = ()) -> Iterator[None]:
    """Place new orders with a checkout of these steps and signals; the version that ships stays known."""
    other = replace(CHECKOUT, version=CHECKOUT.version + 100, steps=steps, signals=signals)
    registry.register(other)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(services, "CHECKOUT", other)
            yield
    finally:
        registry.unregister(other)
