"""Replaces a piece of the code, and raises when it is missing: such a bug would break nothing."""

import sys
from collections.abc import Callable
from dataclasses import replace as changed
from typing import Any

from config.application import PACKAGES
from sagas.definition import Step
from sagas.work import Remote


class CodeToBreakMissing(Exception):
    """The code that a bug replaces does not exist any more."""


def replace(owner: Any, name: str, replacement: Any) -> None:
    """Set ``owner.name`` to ``replacement``. Raises CodeToBreakMissing if it does not exist."""
    if name not in vars(owner):
        raise CodeToBreakMissing(f"{owner.__name__} has no {name}")
    setattr(owner, name, replacement)


def replace_wherever_imported(function: Callable[..., Any], replacement: Any) -> None:
    """Replace a function in each application module that defines or imports it under its name.

    Raises CodeToBreakMissing if no module does.
    """
    modules = [
        module
        for path, module in sys.modules.copy().items()  # one step: an import may run meanwhile
        if path.partition(".")[0] in PACKAGES and vars(module).get(function.__name__) is function
    ]
    if not modules:
        raise CodeToBreakMissing(f"no module has {function.__name__}")
    for module in modules:
        setattr(module, function.__name__, replacement)


def change_call(step: Step, **changes: Any) -> None:
    """Change the declared call of a remote step. Raises CodeToBreakMissing if it calls no service."""
    if not isinstance(step.action, Remote):
        raise CodeToBreakMissing(f"{step.name} calls no service")
    step.action = changed(step.action, **changes)
