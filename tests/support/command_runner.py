"""Runs commands as manage.py does, one after the other in one process, and tells what came of each."""

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from config.command_line import run


def tried(arguments: list[str]) -> tuple[int, str, str]:
    """The exit status, and what was said on standard output and on standard error."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as error:
        try:
            status = run(["manage.py", *arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
    return status, out.getvalue(), error.getvalue()


if __name__ == "__main__":
    json.dump([tried(each) for each in json.load(sys.stdin)], sys.stdout)
