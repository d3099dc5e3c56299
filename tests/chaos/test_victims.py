"""The nemesis strikes children of this run's programs, and nobody else."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from proof.chaos.victims import NotThere, children_of, strike
from tests.support.processes import is_alive
from tests.support.waits import wait_until

SLEEPER = "import signal; signal.pause()"
PARENT = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {SLEEPER!r}]).wait()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process with one child."""
    with subprocess.Popen([sys.executable, "-c", PARENT]) as process:
        wait_until(lambda: children_of(process.pid), "it has a child")
        yield process
        for child in children_of(process.pid):
            with suppress(NotThere):  # struck by the test, and buried since it was listed
                strike(child, signal.SIGKILL, parent=process.pid)
        process.wait()


def test_a_child_is_struck(parent: subprocess.Popen[bytes]) -> None:
    (child,) = children_of(parent.pid)

    strike(child, signal.SIGKILL, parent=parent.pid)

    wait_until(lambda: not is_alive(child), "the child has ended")


def test_the_child_of_somebody_else_is_spared(parent: subprocess.Popen[bytes]) -> None:
    (child,) = children_of(parent.pid)

    with pytest.raises(NotThere):
        strike(child, signal.SIGKILL, parent=1)

    assert is_alive(child)


def test_who_has_ended_already_is_not_there(parent: subprocess.Popen[bytes]) -> None:
    (child,) = children_of(parent.pid)
    strike(child, signal.SIGKILL, parent=parent.pid)
    parent.wait()

    with pytest.raises(NotThere):
        strike(child, signal.SIGKILL, parent=parent.pid)
    assert children_of(parent.pid) == []
