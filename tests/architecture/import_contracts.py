"""Checks the import contracts of pyproject.toml. `make lint` runs it.

The packages come from ``config/application.py``, so that a new package is named only there.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Final

from importlinter.cli import lint_imports

from config.application import LAYERS, PACKAGES, TOOLS
from tests.support.source_files import ROOT

PLACEHOLDERS: Final = {
    "<packages and tools>": [*PACKAGES, *TOOLS],
    "<packages>": PACKAGES,
    "<layers>": [" : ".join(TOOLS), *(" | ".join(layer) for layer in LAYERS)],
}
"""What stands in pyproject.toml for a list of packages, and the list."""


def contracts() -> str:
    """Return pyproject.toml with the lists of packages filled in."""
    text = (ROOT / "pyproject.toml").read_text()
    for placeholder, packages in PLACEHOLDERS.items():
        text = text.replace(json.dumps([placeholder]), json.dumps(packages))
    return text


def main() -> int:
    """Print the report. Returns 0 if every contract is kept, and 1 otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        filled = Path(folder) / "pyproject.toml"
        filled.write_text(contracts())
        return lint_imports(config_filename=str(filled), no_logo=True)


if __name__ == "__main__":
    sys.exit(main())
