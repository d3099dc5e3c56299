"""Replacing a piece of the code, loudly: a bug that no longer finds its place is no bug."""

import sys
from collections.abc import Callable
from dataclasses import replace as changed
from typing import Any

from config.application import PACKAGES
from sagas.definition import Remote, Step


class NothingToBreak(Exception):
    """The code has changed: what a bug would replace is not there."""


def replace(owner: Any, name: str, replacement: Any) -> None:
    """Put ``replacement`` in the place of ``owner.name``. Raises NothingToBreak if there is none."""
    if name not in vars(owner):
        raise NothingToBreak(f"{owner.__name__} has no {name}")
    setattr(owner, name, replacement)


def replace_wherever_imported(function: Callable[..., Any], replacement: Any) -> None:
    """Replace a function in each module of the application that has it by this name."""
    holders = [
        module
        for path, module in list(sys.modules.items())
        if path.partition(".")[0] in PACKAGES and vars(module).get(function.__name__) is function
    ]
    if not holders:
        raise NothingToBreak(f"nobody has {function.__name__}")
    for module in holders:
        setattr(module, function.__name__, replacement)


def change_call(step: Step, **changes: Any) -> None:
    """Declare the call of a remote step differently."""
    if not isinstance(step.action, Remote):
        raise NothingToBreak(f"{step.name} calls nobody")
    step.action = changed(step.action, **changes)
