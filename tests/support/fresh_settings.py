"""The settings as a new process would read them from the current environment."""

import runpy
import sys
from typing import Any

import config
from tests.support.source_files import ROOT


def read_settings() -> dict[str, Any]:
    """Run config/settings.py and its modules again. Returns the result; this process keeps its own."""
    modules = {
        name: module
        for name, module in sys.modules.items()
        if name.startswith("config.") and name.endswith("_settings") and name.count(".") == 1
    }
    for name in modules:
        del sys.modules[name]
        delattr(config, name.removeprefix("config."))
    try:
        return runpy.run_path(str(ROOT / "config" / "settings.py"))
    finally:
        for name, module in modules.items():
            sys.modules[name] = module
            setattr(config, name.removeprefix("config."), module)
