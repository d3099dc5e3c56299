"""What every program does first that starts the all-in-one run and must leave nothing behind."""

import os
import signal
import sys
from typing import Final

from sandbox.live_keys import refuse_live_keys
from sandbox.process_lifetime import OWNER, die_with_owner

INTERRUPTED: Final = 130
UNUSABLE: Final = 2


def become_launcher() -> None:
    """Have every way to ask for the end raise KeyboardInterrupt, also the end of who started us.

    Ends the process with status 2 where a run cannot or must not be started.
    """
    refuse_live_keys(os.environ)
    if sys.platform != "linux":
        print("The all-in-one run needs Linux: it ties processes to their owners.", file=sys.stderr)
        raise SystemExit(UNUSABLE)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would ignore it
    if OWNER in os.environ:
        die_with_owner(signal.SIGTERM)
