"""The commands behind `make up`, `make demo`, `make smoke` and `make check`."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from sandbox.drive.play import Drive
from sandbox.drive.report import terminal
from sandbox.environment import ADDRESSES
from sandbox.live_keys import refuse_live_keys
from sandbox.owned import OWNER, die_with_owner
from sandbox.ports import PortTaken
from sandbox.procfile import ROOT
from sandbox.run_directory import SMOKE, UP, AlreadyRunning
from sandbox.statement import check_accounts
from sandbox.system import StartFailed, SupervisorGone, System, running

INTERRUPTED: Final = 130


def tell(line: str) -> None:
    print(line, flush=True)


def up(caller: Mapping[str, str]) -> int:
    """Run everything, on the data of the last time, until Ctrl-C."""
    with UP.held(), running(UP, caller, tell=tell) as system:
        show_addresses(system)
        return stay(system)


def demo(caller: Mapping[str, str]) -> int:
    """Run everything, drive real orders through it, show what happened, and stay up."""
    with UP.held(), running(UP, caller, tell=tell) as system:
        report = Drive(system, terminal()).run()
        show_addresses(system)
        return stay(system) or int(not report.ok)


def smoke(caller: Mapping[str, str]) -> int:
    """Drive real orders through a fresh system, and end with 0 only if all went as it must."""
    file = ROOT / "var" / "smoke.json"
    began = time.monotonic()
    with SMOKE.held():
        file.unlink(missing_ok=True)
        SMOKE.clear()
        with running(SMOKE, caller, tell=tell) as system:
            started = time.monotonic()
            report = Drive(system, terminal()).run()
            driven = time.monotonic()
            tell("Stopping.")
    ended = time.monotonic()
    seconds = {
        "start": started - began,
        "drive": driven - started,
        "stop": ended - driven,
        "total": ended - began,
    }
    rounded = {name: round(value, 1) for name, value in seconds.items()}
    file.write_text(json.dumps(report.as_json(rounded), indent=2) + "\n")
    tell(f"{'All as expected' if report.ok else 'NOT as expected'} after {rounded['total']} s.")
    return int(not report.ok)


def check(caller: Mapping[str, str]) -> int:
    """Compare orders, payments and stock of the running system with the bank's own list."""
    published = UP.published
    if not published.exists():
        print("Nothing is up. Start it first: make up", file=sys.stderr)
        return 1
    facts = json.loads(published.read_text())
    ledger = facts["sandbox"]["ledger"]
    inherited = {name: value for name, value in caller.items() if name not in ADDRESSES}
    environment = {**inherited, **facts["env"]}
    return check_accounts(environment, ledger and Path(ledger), capture=False).returncode


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


COMMANDS: Final[dict[str, Callable[[Mapping[str, str]], int]]] = {
    "up": up,
    "demo": demo,
    "smoke": smoke,
    "check": check,
}


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
