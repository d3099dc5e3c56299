"""Each bug finds what it breaks, and only where it is asked for."""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable

import pytest

from inventory import services
from orders.steps import reserve_stock
from payments.models import Payment
from proof.seeded_bugs.patching import (
    NothingToBreak,
    change_call,
    replace,
    replace_wherever_imported,
)
from proof.seeded_bugs.registry import BUGS
from sandbox.process_lifetime import owned_environment

SOUND = "1 --loud\n"
BROKEN = "2 --loud\n"


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_finds_what_it_breaks(name: str) -> None:
    assert succeeds_in_a_process_of_its_own(BUGS[name])


def test_a_bug_says_what_is_wrong_in_one_sentence() -> None:
    told = [bug.sentence for bug in BUGS.values()]

    assert len(set(told)) == len(BUGS) >= 12
    assert all(each.endswith(".") and "\n" not in each for each in told)


def test_a_bug_whose_place_is_gone_says_so() -> None:
    with pytest.raises(NothingToBreak, match="Payment has no key_of"):
        replace(Payment, "key_of", None)


def test_a_bug_whose_function_nobody_has_says_so() -> None:
    def reserve() -> None: ...

    with pytest.raises(NothingToBreak, match="nobody has reserve"):
        replace_wherever_imported(reserve, None)

    assert callable(services.reserve)


def test_a_bug_in_a_call_that_is_made_no_more_says_so() -> None:
    with pytest.raises(NothingToBreak, match="reserve_stock calls nobody"):
        change_call(reserve_stock, unknown=())


def test_a_program_runs_with_a_bug_and_its_own_arguments() -> None:
    said = run("proof.seeded_bugs", "fresh_key_for_each_attempt", "--", *PROGRAM)

    assert said.stdout == BROKEN


def test_a_program_without_a_bug_is_sound() -> None:
    assert run(*PROGRAM[1:]).stdout == SOUND


def test_an_unknown_bug_is_refused_and_the_program_not_run() -> None:
    said = run("proof.seeded_bugs", "no_such_bug", "--", *PROGRAM)

    assert said.returncode == 1
    assert said.stdout == ""
    assert "fresh_key_for_each_attempt" in said.stderr


PROGRAM = ("-m", "tests.support.idempotency_key_program", "--loud")


def run(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *arguments]
    environment = {**owned_environment(os.environ), "DJANGO_SETTINGS_MODULE": "config.settings"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def succeeds_in_a_process_of_its_own(act: Callable[[], object]) -> bool:
    """Call ``act`` in a fork, so that what it breaks stays whole here."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:  # noqa: BLE001 - the status says it
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return status == 0
