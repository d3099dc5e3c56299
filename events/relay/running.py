"""Runs one relay thread for each chosen transport, until the process is stopped."""

import os
import platform
import signal
import threading

from django.conf import settings
from django.db import connection

from events.relay.relay import Relay
from events.relay.transports import chosen_transports


def relay_until_stopped() -> None:
    """Publish events to every chosen transport until SIGTERM or SIGINT. Raises ImproperlyConfigured.

    Without a transport it only waits: a process that ends would be started again and again.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    name = f"{platform.node()}:{os.getpid()}"
    relays = [
        Relay(
            transport,
            name,
            from_first=settings.EVENTS_FROM_FIRST,
            events_per_second=settings.EVENTS_PER_SECOND,
            stop=stop,
        )
        for transport in chosen_transports()
    ]
    threads = [threading.Thread(target=_run, args=(relay, stop)) for relay in relays]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join()


def _run(relay: Relay, stop: threading.Event) -> None:
    """Run one relay. If it breaks, the process ends, and its supervisor starts it again."""
    try:
        relay.run()
    finally:
        stop.set()
        connection.close()
