"""Reads the settings that payment providers declare in their own packages."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from config.env import ADDRESS_ENDINGS, Section

CREDENTIAL_ENDINGS: Final = ("_API_KEY", "_SECRET")
"""The endings of the names of all secrets that a provider declares.

Tests and sandbox clear every variable with one of them: it decides whose money moves.
"""


def read_provider_settings(package: str, settings: dict[str, Any]) -> Section:
    """Read the environment variables of a provider into ``settings``; return their section.

    The section is empty for a provider without a module ``settings``. Raises ImproperlyConfigured,
    and ValueError for a secret whose name has another ending.
    """
    if find_spec(f"{package}.settings") is None:
        return Section(package)
    declared = import_module(f"{package}.settings")
    section = Section(declared.TITLE)
    settings.update(declared.read(section))
    for variable in section.variables:
        if variable.is_secret and not variable.name.endswith(ADDRESS_ENDINGS + CREDENTIAL_ENDINGS):
            endings = ", ".join(CREDENTIAL_ENDINGS)
            raise ValueError(f"{variable.name}: names of a provider's secrets end in {endings}")
    return section
