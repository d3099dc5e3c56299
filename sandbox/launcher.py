"""What a program does first if it starts the all-in-one run. It must leave no process behind."""

import os
import signal
import sys
from typing import Final

from sandbox.live_keys import refuse_live_keys
from sandbox.process_lifetime import OWNER, die_with_owner

INTERRUPTED: Final = 130
UNUSABLE: Final = 2


def become_launcher() -> None:
    """Make SIGTERM, SIGHUP and SIGINT raise KeyboardInterrupt. So does the end of the parent process.

    Exits with status 2 if a live-mode key is set, or if the system is not Linux.
    """
    refuse_live_keys(os.environ)
    if sys.platform != "linux":
        print(
            "The all-in-one run needs Linux: it ends processes together with their parents.",
            file=sys.stderr,
        )
        raise SystemExit(UNUSABLE)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would ignore it
    if OWNER in os.environ:
        die_with_owner(signal.SIGTERM)
