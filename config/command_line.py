"""Django's command line for people: what they can mend is said in a line, without a trace."""

import os
import sys
from collections.abc import Sequence
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError, InterfaceError

FAILED: Final = 1
READER_GONE: Final = 128 + 13
INTERRUPTED: Final = 128 + 2
"""As a shell says of whom SIGPIPE and SIGINT have ended."""


def run(arguments: Sequence[str]) -> int:
    """Run ``manage.py ...`` and return its exit status: 0 done, 1 failed or found something, 2 usage.

    What is a fault of ours is raised, and so is everything with ``--traceback``.
    """
    try:
        try:
            execute_from_command_line(list(arguments))
        finally:
            sys.stdout.flush()  # here and not when Python ends, where nobody could catch it
    except BrokenPipeError:
        # Nobody reads on, as with ``| head -1``. What is left is not to be written once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
        if "--traceback" in arguments:
            raise
        sys.stderr.write(f"{_whose(error)}: {_first_line(error)}\n")
        return FAILED
    return 0


def _whose(error: Exception) -> str:
    return "Configuration" if isinstance(error, ImproperlyConfigured) else "Database"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
