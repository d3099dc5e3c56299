"""The system check that a deployed database has the real clock."""

from collections.abc import Iterable
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name
from django.db import DEFAULT_DB_ALIAS, OperationalError

from clock.function import PRODUCTION_BODY, body_in


@register(deploy=True)
def the_clock_is_the_real_one(**_: Any) -> Iterable[CheckMessage]:
    """Report a clock that was moved, for ``manage.py check --deploy``.

    A database without the function is not migrated yet, and is no error.
    """
    try:
        body = body_in(DEFAULT_DB_ALIAS)
    except OperationalError:
        yield Warning(
            "the database does not answer, so its clock was not checked",
            hint="Run the check where DATABASE_URL leads to the database.",
            id="clock.W001",
        )
        return
    if body not in (None, PRODUCTION_BODY):
        yield Error(
            "the function clock_now() of the database does not return the real time",
            hint="This is a sandbox's or a test's database: use another one, or `manage.py clock reset`.",
            id="clock.E001",
        )
