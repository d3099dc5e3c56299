"""Serves the metrics of this host and of the database to Prometheus."""

import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from prometheus_client import start_http_server

from monitoring.metrics_endpoint import build_registry
from sagas.cli_types import whole_number


class Command(BaseCommand):
    help = (
        "Serve the metrics of this host's processes and of the database to Prometheus, until it is"
        " stopped. Only reads. While the database is down, holdfast_database_up is 0."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port",
            type=whole_number(0, 65535),
            default=settings.METRICS_PORT,
            help="the port (default %(default)s, from METRICS_PORT)",
        )
        parser.add_argument(
            "--address",
            default=settings.METRICS_ADDRESS,
            help="the address to listen on (default %(default)s, from METRICS_ADDRESS)",
        )

    def handle(self, *_: Any, port: int, address: str, **__: Any) -> None:
        folder = settings.PROMETHEUS_MULTIPROC_DIR
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        registry = build_registry(Path(folder) if folder else None)
        try:
            server, thread = start_http_server(port, addr=address, registry=registry)
        except OSError as error:
            raise CommandError(f"cannot listen on {address}:{port}: {error.strerror}") from error
        stop.wait()
        server.shutdown()
        thread.join()
