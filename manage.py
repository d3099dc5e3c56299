#!/usr/bin/env python
"""Django's command line."""

import os
import sys

from config.command_line import run

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # System checks and `runserver` see all routes and all middleware.
    os.environ.setdefault("SERVE", "both")
    sys.exit(run(sys.argv))
