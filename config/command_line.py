"""Django's command line: configuration and database errors in one line, without a traceback."""

import os
import sys
from collections.abc import Sequence
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError, InterfaceError

FAILED: Final = 1
SIGPIPE_STATUS: Final = 128 + 13
SIGINT_STATUS: Final = 128 + 2
"""The exit statuses of a shell for SIGPIPE and SIGINT."""


def run(arguments: Sequence[str]) -> int:
    """Run ``manage.py ...`` and return its exit status: 0 done, 1 failed or found something, 2 wrong usage.

    Raises all other errors, and with ``--traceback`` every error.
    """
    try:
        try:
            execute_from_command_line(list(arguments))
        finally:
            sys.stdout.flush()  # an error during the exit of Python could not be caught
    except BrokenPipeError:
        # The reader has closed the pipe, as ``| head -1`` does. Python must not flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SIGPIPE_STATUS
    except KeyboardInterrupt:
        return SIGINT_STATUS
    except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
        if "--traceback" in arguments:
            raise
        sys.stderr.write(f"{_source(error)}: {_first_line(error)}\n")
        return FAILED
    return 0


def _source(error: Exception) -> str:
    return "Configuration" if isinstance(error, ImproperlyConfigured) else "Database"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
