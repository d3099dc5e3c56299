"""Prints docs/configuration.md, generated from the settings that the code reads."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config.env import Section, Variable

HEAD = """# Configuration

For operators: all environment variables. The application starts only with valid values. This page is generated from
the code that reads them: `make settings`.

`make up` and `make demo` have other defaults for some, such as `REVIEW_ABOVE_MINOR=100000`, and choose others
themselves: see the [README](../README.md#settings-of-make-up-and-make-demo).
"""


class Command(BaseCommand):
    help = "Print docs/configuration.md, generated from the settings. Changes nothing."
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write("\n".join([HEAD, *map(_section, settings.CONFIGURATION)]), ending="")


def _section(section: Section) -> str:
    rows = "".join(f"{_row(variable)}\n" for variable in section.variables)
    return (
        f"## {section.title}\n\n| variable | default | takes | purpose |\n|---|---|---|---|\n{rows}"
    )


def _row(variable: Variable) -> str:
    secret = " Secret." if variable.is_secret else ""
    return f"| `{variable.name}` | {_default(variable)} | {variable.kind} | {variable.explanation}{secret} |"


def _default(variable: Variable) -> str:
    if variable.is_required:
        return "**required**"
    if isinstance(variable.default, list):
        return f"`{','.join(variable.default)}`" if variable.default else "none"
    if isinstance(variable.default, bool):
        return f"`{int(variable.default)}`"
    return f"`{variable.default}`" if variable.default != "" else "none"
