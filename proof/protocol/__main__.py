"""``python -m proof.protocol [--deep]``; see ``proof/protocol/command.py``."""

import os
import sys
from importlib import import_module

import django

from sandbox.environment import placeholders


def main() -> int:
    """Load the application, whose sagas are searched, and search. Nothing is connected to."""
    os.environ.update(placeholders(), DJANGO_SETTINGS_MODULE="config.settings")
    django.setup()
    status: int = import_module("proof.protocol.command").main()
    return status


if __name__ == "__main__":
    sys.exit(main())
