"""The reference of environment variables: what the code reads, and nothing else."""

from io import StringIO

from django.conf import settings
from django.core.management import call_command

from tests.support.source_files import APPLICATION, ROOT, python_files


def test_the_page_says_what_the_settings_read() -> None:
    said = StringIO()

    call_command("describe_settings", stdout=said)

    assert (ROOT / "docs" / "configuration.md").read_text() == said.getvalue()


def test_no_variable_is_read_twice() -> None:
    names = [each.name for section in settings.CONFIGURATION for each in section.variables]

    assert len(names) == len(set(names)) > 0


def test_nobody_reads_the_environment_past_the_reference() -> None:
    readers = {
        source.name
        for source in python_files(*APPLICATION)
        if any("os.environ" in line and "setdefault" not in line for line in source.lines)
        or any("environ.Env" in line for line in source.lines)
    }

    assert readers == {"config/env.py"}
