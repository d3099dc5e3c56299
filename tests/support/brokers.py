"""Brokers for events: a Valkey that keeps its data and can be killed, and a cluster of Kafka."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from redis import Redis

from sandbox import valkey
from sandbox.ports import ReservedPort
from sandbox.process_lifetime import owned_environment
from tests.support.waits import wait_until

ROOT: Final = Path(__file__).resolve().parent.parent.parent


class DurableValkey:
    """A Valkey on one port, with an append-only file that is written to disk every second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = ReservedPort()
        self.url = valkey.redis_url(self._port.number)
        self.start()

    def start(self) -> None:
        """Start it with the data that it has kept, and wait until it answers."""
        command = [sys.executable, "-m", "sandbox.valkey", "--durable", str(self._folder)]
        self._process = subprocess.Popen(
            [*command, "--port", str(self._port.number)],
            cwd=ROOT,
            env=owned_environment(os.environ),
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: valkey.is_ready(self._port.number, self._process.pid))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def client(self) -> "Redis":
        return Redis.from_url(self.url, decode_responses=True)

    def close(self) -> None:
        self.kill()
        self._port.close()


@contextmanager
def kafka_cluster() -> Iterator[str]:
    """Run librdkafka's mock cluster of three brokers in another process; yields its KAFKA_URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.kafka_cluster_main"],
        cwd=ROOT,
        env=owned_environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield f"kafka://{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.communicate()
