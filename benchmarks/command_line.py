"""What the commands of benchmarks share: how each begins, and its exit status after an error."""

import os
import sys
from collections.abc import Callable

from benchmarks.plan import InvalidPlan
from sandbox.environment import is_external
from sandbox.launcher import INTERRUPTED, UNUSABLE, become_launcher
from sandbox.ports import PortTaken
from sandbox.run_directory import AlreadyRunning
from sandbox.system import StartFailed, SupervisorGone


def run_benchmark(bench: Callable[[], int], no_figures: tuple[type[Exception], ...]) -> int:
    """Run a benchmark as a command, and return its exit status.

    Errors that ``bench`` raises are printed. After one of ``no_figures`` the benchmark has no result.
    """
    become_launcher()
    if is_external(os.environ):
        print("EXTERNAL=1: only what a benchmark starts itself is measured.", file=sys.stderr)
        return UNUSABLE
    try:
        return bench()
    except InvalidPlan as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    except (AlreadyRunning, PortTaken, StartFailed, SupervisorGone) as error:
        print(error, file=sys.stderr)
        return 1
    except no_figures as error:
        print(f"No figures: {type(error).__name__} {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
