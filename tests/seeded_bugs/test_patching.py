"""Each seeded bug still finds the code that it breaks, and breaks only the process that asks."""

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
    CodeToBreakMissing,
    change_call,
    replace,
    replace_wherever_imported,
)
from proof.seeded_bugs.registry import BUGS
from sandbox.process_lifetime import owned_environment

SOUND = "1 --loud\n"
BROKEN = "2 --loud\n"


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_finds_the_code_that_it_breaks(name: str) -> None:
    assert succeeds_in_a_fork(BUGS[name])


def test_a_bug_is_described_in_one_sentence() -> None:
    descriptions = [bug.description for bug in BUGS.values()]

    assert len(set(descriptions)) == len(BUGS) >= 12
    assert all(text.endswith(".") and "\n" not in text for text in descriptions)


def test_replacing_a_missing_attribute_is_an_error() -> None:
    with pytest.raises(CodeToBreakMissing, match="Payment has no key_of"):
        replace(Payment, "key_of", None)


def test_replacing_a_function_that_no_module_has_is_an_error() -> None:
    def reserve() -> None: ...

    with pytest.raises(CodeToBreakMissing, match="no module has reserve"):
        replace_wherever_imported(reserve, None)

    assert callable(services.reserve)


def test_changing_the_call_of_a_local_step_is_an_error() -> None:
    with pytest.raises(CodeToBreakMissing, match="reserve_stock calls no service"):
        change_call(reserve_stock, unknown=())


def test_a_program_runs_with_a_bug_and_its_own_arguments() -> None:
    finished = run("proof.seeded_bugs", "new_key_for_each_attempt", "--", *PROGRAM)

    assert finished.stdout == BROKEN


def test_a_program_without_a_bug_is_sound() -> None:
    assert run(*PROGRAM[1:]).stdout == SOUND


def test_an_unknown_bug_is_an_error_and_the_program_does_not_run() -> None:
    finished = run("proof.seeded_bugs", "no_such_bug", "--", *PROGRAM)

    assert finished.returncode == 1
    assert finished.stdout == ""
    assert "new_key_for_each_attempt" in finished.stderr


PROGRAM = ("-m", "tests.support.idempotency_key_program", "--loud")


def run(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *arguments]
    environment = {**owned_environment(os.environ), "DJANGO_SETTINGS_MODULE": "config.settings"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def succeeds_in_a_fork(break_code: Callable[[], object]) -> bool:
    """Call ``break_code`` in a fork, so that this process keeps sound code."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            break_code()
            status = 0
        except BaseException:  # noqa: BLE001 - the exit status reports it
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return status == 0
