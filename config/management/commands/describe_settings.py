"""Write the reference of all environment variables from the code that reads them."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config.env import Section, Variable

HEAD = """# Configuration

For operators: all environment variables. The application starts only with valid values. This page is generated from
the code that reads them: `manage.py describe_settings > docs/configuration.md`.
"""


class Command(BaseCommand):
    help = "Print docs/configuration.md, made of the settings themselves. Changes nothing."
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write("\n".join([HEAD, *map(_described, settings.CONFIGURATION)]), ending="")


def _described(section: Section) -> str:
    rows = "".join(f"{_row(each)}\n" for each in section.variables)
    return f"## {section.title}\n\n| variable | default | takes | what it is for |\n|---|---|---|---|\n{rows}"


def _row(each: Variable) -> str:
    secret = " Secret." if each.is_secret else ""
    return f"| `{each.name}` | {_default(each)} | {each.kind} | {each.explanation}{secret} |"


def _default(each: Variable) -> str:
    if each.is_required:
        return "**required**"
    if isinstance(each.default, list):
        return f"`{','.join(each.default)}`" if each.default else "none"
    if isinstance(each.default, bool):
        return f"`{int(each.default)}`"
    return f"`{each.default}`" if each.default != "" else "none"
