"""The nemesis sends signals to children of this run's programs, and to no other process."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from proof.chaos.process_signals import ProcessMissing, children_of, send_signal
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
            with suppress(ProcessMissing):  # killed by the test, and reaped since it was listed
                send_signal(child, signal.SIGKILL, parent=process.pid)
        process.wait()


def test_a_child_receives_the_signal(parent: subprocess.Popen[bytes]) -> None:
    (child,) = children_of(parent.pid)

    send_signal(child, signal.SIGKILL, parent=parent.pid)

    wait_until(lambda: not is_alive(child), "the child has ended")


def test_the_child_of_another_process_receives_no_signal(parent: subprocess.Popen[bytes]) -> None:
    (child,) = children_of(parent.pid)

    with pytest.raises(ProcessMissing):
        send_signal(child, signal.SIGKILL, parent=1)

    assert is_alive(child)


def test_a_signal_to_an_ended_process_is_an_error(parent: subprocess.Popen[bytes]) -> None:
    (child,) = children_of(parent.pid)
    send_signal(child, signal.SIGKILL, parent=parent.pid)
    parent.wait()

    with pytest.raises(ProcessMissing):
        send_signal(child, signal.SIGKILL, parent=parent.pid)
    assert children_of(parent.pid) == []
