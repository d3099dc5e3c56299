"""A worker that kills itself at a named moment, as a power cut would: SIGKILL, nothing cleaned up.

Run as a program it waits for orders on its standard input, one JSON object a line, and forks a
worker for each: a process of its own that delivers one message. It prints the worker's process id,
and how it ended once it has. Only here are the boundaries wrapped at which a worker can die.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import django
from django.db import connection

from sandbox.owned import die_with_owner


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_commit(number: int, *, committed: bool) -> None:
    """Die just before the worker's transaction with this number commits, or just after.

    After the commit means before anything that waits for it: no message leaves, none is
    acknowledged.
    """
    commit = connection.commit
    commits = 0

    def commit_and_count() -> None:
        nonlocal commits
        commits += 1
        if commits == number and not committed:
            die()
        commit()
        if commits == number:
            die()

    connection.commit = commit_and_count  # type: ignore[method-assign]  # in this process only


def die_before_sending(operation: str) -> None:
    """Die with the request to the bank written, and not a byte of it sent."""
    from payments.bank_connections import BankConnections, current_exchange

    send = BankConnections.send

    def send_or_die(
        self: BankConnections, method: str, url: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[str, int, Mapping[str, str]]:
        if current_exchange.get().operation == operation:
            die()
        return send(self, method, url, headers, body)

    BankConnections.send = send_or_die  # type: ignore[method-assign]  # in this process only


def prepare_to_die(moment: str) -> None:
    """Arm the trap that ``moment`` names; an empty one leaves the killing to somebody else."""
    match moment.split():
        case ["before", "commit", number]:
            die_at_commit(int(number), committed=False)
        case ["after", "commit", number]:
            die_at_commit(int(number), committed=True)
        case ["before", operation]:
            die_before_sending(operation)
        case []:
            pass
        case _:
            raise ValueError(moment)


def deliver(run_id: str, link_name: str) -> None:
    from sagas import registry
    from tests.message_queue import Message, MessageQueue

    link = next(
        link
        for saga in registry.all_sagas()
        for link in (*saga.links, saga.way_back)
        if link.name == link_name
    )
    MessageQueue().deliver(Message(UUID(run_id), (link,)))


def fork(work: Callable[[], None]) -> int:
    """Return the process id of a child that does ``work`` and, if it survives it, ends well."""
    pid = os.fork()
    if pid == 0:
        die_with_owner(signal.SIGKILL)
        work()
        os._exit(0)
    return pid


def main() -> None:
    django.setup()
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)

        def work(order: dict[str, Any] = order) -> None:
            prepare_to_die(order["moment"])
            deliver(order["run_id"], order["link"])

        pid = fork(work)
        print(pid, flush=True)  # noqa: T201 - the answer
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
