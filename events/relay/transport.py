"""What a relay needs of a transport."""

from collections.abc import Sequence
from typing import Protocol

from events.models import OutboxEvent


class TransportUnavailable(Exception):
    """A transport has not stored all events of a call; it may have stored some of them."""


class ServerRestarted(Exception):
    """The transport's server runs anew, and may have lost what it had confirmed last.

    ``server`` names the new run.
    """

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self.server = server


class Transport(Protocol):
    """Publishes events to programs outside. One relay thread uses it at a time."""

    @property
    def name(self) -> str:
        """The name in settings, positions and metrics. Stable."""

    def publish(self, events: Sequence[OutboxEvent], server: str) -> str:
        """Publish events in order, and return once all are stored, with the name of the server's run.

        ``server`` is what the last call returned; empty before the first. Takes at most a few
        seconds. Raises ServerRestarted, with nothing published, if the server's run is another one;
        TransportUnavailable if some events may not be stored. Then all of them are published again.
        """

    def close(self) -> None:
        """End its connections. It can be used again afterwards."""
