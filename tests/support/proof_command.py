"""Runs the proof as ``make prove`` does: as a command."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox.procfile import ROOT

MAX_SECONDS = 1200


def prove(report: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Run it with one prover: other tests need the other core. Returns exit status, report, output."""
    command = [sys.executable, "-m", "proof", "run", "--provers", "1", "--report", str(report)]
    finished = subprocess.run(
        [*command, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=MAX_SECONDS,
    )
    assert report.exists(), finished.stdout + finished.stderr
    return finished.returncode, json.loads(report.read_text()), finished.stdout
