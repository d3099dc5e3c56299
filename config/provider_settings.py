"""Reads the settings that payment providers declare in their own packages."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from config.env import Section


def read_provider_settings(package: str, settings: dict[str, Any]) -> Section:
    """Read the environment variables of a provider into ``settings``; return their section.

    The section is empty for a provider without a module ``settings``. Raises ImproperlyConfigured.
    """
    if find_spec(f"{package}.settings") is None:
        return Section(package)
    declared = import_module(f"{package}.settings")
    section = Section(declared.TITLE)
    settings.update(declared.read(section))
    return section
