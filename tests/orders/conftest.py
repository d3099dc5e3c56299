"""Longer limits of waits and streams, for busy machines."""

import pytest

from orders.api.http import prefer_header
from orders.api.orders import event_stream


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the limits of waits and streams for busy machines."""
    monkeypatch.setattr(prefer_header, "MAX_WAIT_SECONDS", 60)
    monkeypatch.setattr(event_stream, "MAX_STREAM_SECONDS", 60)
