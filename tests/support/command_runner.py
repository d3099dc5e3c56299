"""Runs commands of manage.py in this process. As a program it runs several, and prints their results."""

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from django.core.management import call_command

from config.command_line import run


def run_command(arguments: list[str]) -> tuple[int, str, str]:
    """Run one command. Returns its exit status, standard output and standard error."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as error:
        try:
            status = run(["manage.py", *arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
    return status, out.getvalue(), error.getvalue()


def output_of(*arguments: str) -> str:
    """Return what a command prints. Raises CommandError where its exit status would be 1."""
    printed = StringIO()
    call_command(*arguments, stdout=printed)
    return printed.getvalue()


if __name__ == "__main__":
    json.dump([run_command(arguments) for arguments in json.load(sys.stdin)], sys.stdout)
