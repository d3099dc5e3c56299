"""A worker that kills itself before a call, as a power cut would: SIGKILL, nothing cleaned up.

Run as a program it waits for orders on its standard input, one JSON object a line, and forks a
worker for each: a process of its own that delivers one message. It prints the worker's process id,
and how it ended once it has.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import django

from sandbox.process_lifetime import die_with_owner


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_sending(operation: str) -> None:
    """Die with the request to the bank written, and not a byte of it sent."""
    from outbound.http_transport import Response
    from outbound.service import OutsideService, current_call

    send = OutsideService.send

    def send_or_die(
        self: OutsideService, method: str, url: str, headers: Mapping[str, str], body: str | None
    ) -> Response:
        if current_call().operation == operation:
            die()
        return send(self, method, url, headers, body)

    OutsideService.send = send_or_die  # type: ignore[method-assign]  # in this process only


def deliver(run_id: str, link_name: str) -> None:
    from sagas import registry
    from tests.support.in_memory_broker import Message, MessageQueue

    link = next(
        link
        for saga in registry.all_sagas()
        for link in (*saga.links, saga.compensation_link)
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
            die_before_sending(order["fatal_call"])
            deliver(order["run_id"], order["link"])

        pid = fork(work)
        print(pid, flush=True)  # noqa: T201 - the answer
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
