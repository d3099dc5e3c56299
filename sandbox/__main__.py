"""The commands behind `make up`, `make demo`, `make smoke` and `make check`."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Final

from sandbox.environment import ADDRESSES
from sandbox.live_keys import refuse_live_keys
from sandbox.owned import OWNER, die_with_owner
from sandbox.ports import PortTaken
from sandbox.procfile import ROOT
from sandbox.run_directory import AlreadyRunning, RunDirectory
from sandbox.system import StartFailed, SupervisorGone, System, running

INTERRUPTED: Final = 130


def tell(line: str) -> None:
    print(line, flush=True)


def up(caller: Mapping[str, str]) -> int:
    """Run everything, on the data of the last time, until Ctrl-C."""
    directory = RunDirectory("up")
    with directory.held(), running(directory, caller, tell=tell) as system:
        show_addresses(system)
        return stay(system)


def check(caller: Mapping[str, str]) -> int:
    """Compare orders, payments and stock of the running system with the bank's own list."""
    published = RunDirectory("up").published
    if not published.exists():
        print("Nothing is up. Start it first: make up", file=sys.stderr)
        return 1
    facts = json.loads(published.read_text())
    command = [sys.executable, "manage.py", "check_accounts"]
    if facts["sandbox"]["ledger"] is not None:
        command += ["--ledger", facts["sandbox"]["ledger"]]
    inherited = {name: value for name, value in caller.items() if name not in ADDRESSES}
    finished = subprocess.run(command, cwd=ROOT, env={**inherited, **facts["env"]}, check=False)
    return finished.returncode


def show_addresses(system: System) -> None:
    facts = json.loads(system.directory.published.read_text())
    tell(f"""
  Storefront API   {facts["base_url"]}/api/v1/orders
                   Authorization: Bearer {facts["customer_token"]}
  Admin            {facts["admin"]["url"]}   {facts["admin"]["username"]} / {facts["admin"]["password"]}
  Flower           {facts["flower"]["url"]}   {facts["flower"]["username"]} / {facts["flower"]["password"]}
  Bank (sandbox)   {facts["sandbox"]["url"]}
  For programs     var/up.json

Up. Ctrl-C stops everything; the data stays in var/up.""")


def stay(system: System) -> int:
    """Keep the system up until a signal asks for its end, which is then a success."""
    try:
        system.stay()
    except KeyboardInterrupt:
        tell("Stopping.")
    return 0


COMMANDS: Final[dict[str, Callable[[Mapping[str, str]], int]]] = {"up": up, "check": check}


def main() -> int:
    """Run ``python -m sandbox COMMAND``."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    command = COMMANDS[parser.parse_args().command]
    refuse_live_keys(os.environ)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)  # all three ways to ask for the end
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would ignore it
    if OWNER in os.environ:
        die_with_owner(signal.SIGTERM)
    try:
        return command(os.environ)
    except (AlreadyRunning, PortTaken, StartFailed, SupervisorGone) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
