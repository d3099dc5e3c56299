"""A broker in memory: a test chooses which message is delivered when, or never.

The fixture ``messages`` is the queue that all sagas publish to. Take ``drained_broker`` when the
messages must be those of the real broker.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sagas import registry
from sagas.definition import Link
from sagas.messages import Continue, NextAction, RetryAfter
from sagas.runner import Runner
from tests.support.threads import start_thread

POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Message:
    """One message: a run, and the links of its chain that are still to be run."""

    run_id: UUID
    links: tuple[Link, ...]


class MessageQueue:
    """Keeps what is published; ``deliver`` runs it as a worker would."""

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        self.came_back: list[RetryAfter] = []
        """The retries that deliveries asked for."""
        self._runners: dict[str, Runner] = {}

    def enqueue(self, run_id: UUID, links: tuple[Link, ...]) -> None:
        """Keep a message. Stands in for the publisher's method."""
        self.waiting.append(Message(run_id, links))

    def take(self) -> Message:
        """Remove and return the oldest message. Raises IndexError when no message waits."""
        return self.waiting.pop(0)

    def deliver(self, message: Message) -> NextAction:
        """Deliver one message. If its link continues, the rest of its chain waits as a new message."""
        link, rest = message.links[0], message.links[1:]
        next_action = self._runner(link).advance(message.run_id)
        if isinstance(next_action, Continue) and rest:
            self.waiting.append(Message(message.run_id, rest))
        if isinstance(next_action, RetryAfter):
            self.came_back.append(next_action)
        return next_action

    def deliver_all(self) -> None:
        """Deliver until no message waits; retries that are due later are not delivered."""
        while self.waiting:
            self.deliver(self.take())

    def drop_all(self) -> None:
        """Lose all messages, as a flushed broker does."""
        self.waiting.clear()

    def _runner(self, link: Link) -> Runner:
        if link.name not in self._runners:
            saga = next(
                saga
                for saga in registry.all_sagas()
                if link.name in {own.name for own in (*saga.links, saga.compensation_link)}
            )
            self._runners[link.name] = Runner(saga, link)
        return self._runners[link.name]


def deliver_as_separate_worker(message: Message) -> None:
    """Deliver a message, and the rest of its chain, with runners of its own."""
    worker = MessageQueue()
    worker.waiting.append(message)
    worker.deliver_all()


@contextmanager
def delivering_in_background(messages: MessageQueue) -> Iterator[None]:
    """Deliver messages as they come, in a thread beside the block.

    For tests that are busy waiting for a response. Raises at the block's end what a delivery raised.
    """
    stop = threading.Event()

    def deliver_until_stopped() -> None:
        while not stop.wait(POLL_SECONDS):
            messages.deliver_all()

    worker = start_thread(deliver_until_stopped)
    try:
        yield
    finally:
        stop.set()
        error = worker.exception()
    if error:
        raise error
