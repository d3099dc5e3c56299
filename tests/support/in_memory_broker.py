"""A broker in memory: the test chooses which message is delivered when, or never."""

from dataclasses import dataclass
from uuid import UUID

from sagas import registry
from sagas.definition import Link
from sagas.messages import Continue, NextAction, RetryAfter
from sagas.runner import Runner


@dataclass(frozen=True)
class Message:
    """One message: a run, and the links of its chain that are still to be run."""

    run_id: UUID
    links: tuple[Link, ...]


class MessageQueue:
    """Keeps what is dispatched; ``deliver`` runs it as a worker would."""

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        self.came_back: list[RetryAfter] = []
        self._runners: dict[str, Runner] = {}

    def hand_over(self, run_id: UUID, links: tuple[Link, ...]) -> None:
        self.waiting.append(Message(run_id, links))

    def take(self) -> Message:
        return self.waiting.pop(0)

    def deliver(self, message: Message) -> NextAction:
        """Deliver one message; if its link continues, the rest of its chain waits as a new message."""
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
                if link.name in {each.name for each in (*saga.links, saga.compensation_link)}
            )
            self._runners[link.name] = Runner(saga, link)
        return self._runners[link.name]
