"""A worker beside a test that is busy waiting for an answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from tests.support.in_memory_broker import MessageQueue


@contextmanager
def delivering(messages: MessageQueue) -> Iterator[None]:
    """Deliver messages as they come, until the block ends; what went wrong there surfaces here."""
    stop = threading.Event()
    errors: list[Exception] = []

    def work() -> None:
        try:
            while not stop.wait(0.005):
                messages.deliver_all()
        except Exception as error:  # noqa: BLE001 - raised in the test
            errors.append(error)
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()
    if errors:
        raise errors[0]
