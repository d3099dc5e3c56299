"""The commands behind `make up`, `make demo`, `make smoke`, `make down`, `make check` and `make manage`."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sandbox.addresses import addresses
from sandbox.demo import UP_AND_RUNNING
from sandbox.demo import demo as show
from sandbox.drive.report import terminal
from sandbox.drive.scenario_groups import smoke_groups
from sandbox.drive.scenario_runner import Drive
from sandbox.environment import without_addresses
from sandbox.launcher import INTERRUPTED, become_launcher
from sandbox.outside_service.services import ServiceUnknown
from sandbox.ports import PortTaken
from sandbox.procfile import ROOT
from sandbox.reconciliation import REST_SECONDS, check_invariants
from sandbox.run_directory import SMOKE, UP, AlreadyRunning, StillRunning
from sandbox.system import StartFailed, SupervisorGone, running


def tell(line: str) -> None:
    print(line, flush=True)


def up(caller: Mapping[str, str]) -> int:
    """Run everything until Ctrl-C, on the data of the previous run."""
    with UP.locked(), running(UP, caller, tell=tell) as system:
        tell(f"{addresses(system)}\n\n{UP_AND_RUNNING}")
        system.stay()
    return 0


def demo(caller: Mapping[str, str]) -> int:
    """Run everything, place orders, show what happens, and stay up until Ctrl-C."""
    return show(caller, tell)


def smoke(caller: Mapping[str, str]) -> int:
    """Drive orders through a fresh system. Exits with 0 only if every outcome is as expected."""
    file = ROOT / "var" / "smoke.json"
    began = time.monotonic()
    with SMOKE.locked():
        file.unlink(missing_ok=True)
        SMOKE.clear()
        with running(SMOKE, caller, tell=tell) as system:
            started = time.monotonic()
            report = Drive(system, terminal()).run(smoke_groups, with_background_customers=False)
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
    summary = "All as expected" if report.ok else "NOT as expected"
    tell(f"{summary} after {rounded['total']} s. Details: var/smoke.json")
    return int(not report.ok)


def down(caller: Mapping[str, str]) -> int:  # noqa: ARG001 - a command's signature
    """Stop a running `make up` or `make demo`, and wait until all of its processes have ended."""
    launcher = UP.launcher()
    if launcher is None:
        UP.remove_leftovers()
        tell("Nothing is running.")
        return 0
    tell(f"Stopping the run of process {launcher}.")
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(launcher, signal.SIGTERM)
    UP.wait_for_end(launcher)
    tell("Stopped: every process has ended. The data stays in var/up.")
    return 0


def check(caller: Mapping[str, str]) -> int:
    """Compare the running system's orders, payments and stock with Stripe's ledger."""
    run = published()
    ledger = run["sandbox"]["ledger"]
    environment = environment_of(run, caller)
    with UP.ordering_paused():
        tell(f"Waiting up to {REST_SECONDS} s for the orders that are under way.")
        checked = check_invariants(
            environment, ledger and Path(ledger), capture=False, must_rest=False
        )
    return checked.returncode


def manage(caller: Mapping[str, str], arguments: Sequence[str]) -> int:
    """Run a command of the application (manage.py ...) on the running system."""
    command = [sys.executable, "manage.py", *arguments]
    environment = environment_of(published(), caller)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


class NothingIsUp(Exception):
    """The command needs a running system, and none is running."""

    def __init__(self) -> None:
        super().__init__("The system is not running. Start it first: make up")


def published() -> dict[str, Any]:
    """Return the content of var/up.json: the running system's addresses and logins. Raises NothingIsUp."""
    if not UP.published.exists():
        raise NothingIsUp
    run: dict[str, Any] = json.loads(UP.published.read_text())
    return run


def environment_of(run: Mapping[str, Any], caller: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with which the application's commands work on the running system.

    They have its settings, and none of the caller's.
    """
    inherited = without_addresses(caller)
    ours = {name: value for name, value in inherited.items() if name not in run["settings"]}
    return {**ours, **run["env"]}


COMMANDS: Final[dict[str, Callable[[Mapping[str, str]], int]]] = {
    "up": up,
    "demo": demo,
    "smoke": smoke,
    "down": down,
    "check": check,
}


def main() -> int:
    """Run ``python -m sandbox COMMAND``."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        commands.add_parser(name, help=function.__doc__)
    managing = commands.add_parser("manage", help=manage.__doc__)
    managing.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    become_launcher()
    try:
        if options.command == "manage":
            return manage(os.environ, options.arguments)
        return COMMANDS[options.command](os.environ)
    except (
        AlreadyRunning,
        NothingIsUp,
        PortTaken,
        ServiceUnknown,
        StartFailed,
        StillRunning,
        SupervisorGone,
    ) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
