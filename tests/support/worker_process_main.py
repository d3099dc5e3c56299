"""The program of ``worker_processes``: workers that kill themselves before a call.

They die by SIGKILL, as in a power cut: nothing is cleaned up. The program reads tasks from standard
input, one JSON object a line, and forks one worker for each. The worker delivers one message. The
program prints the worker's process id and later its exit code.
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
    """Die at the provider's ``operation``, when its request is composed and no byte of it is sent."""
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
    """Run one link of a run, as a worker does with a message."""
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
    """Fork a child that does ``work`` and then exits with 0. Returns the child's process id."""
    pid = os.fork()
    if pid == 0:
        die_with_owner(signal.SIGKILL)
        work()
        os._exit(0)
    return pid


def main() -> None:
    django.setup()
    for line in sys.stdin:
        task: dict[str, Any] = json.loads(line)

        def work(task: dict[str, Any] = task) -> None:
            die_before_sending(task["fatal_call"])
            deliver(task["run_id"], task["link"])

        pid = fork(work)
        print(pid, flush=True)  # noqa: T201 - read by worker_processes
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - read by worker_processes


if __name__ == "__main__":
    main()
