"""With a live-mode Stripe key in the environment every command refuses to run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.embedded_servers import ROOT
from sandbox.live_keys import live_keys

MAKE = shutil.which("make") or "make"
TARGETS = (
    *("help", "smoke", "demo", "up", "down", "check", "manage"),
    *("test", "lint", "words", "format", "clean"),
    *(
        "bench",
        "bench-waits",
        "prove",
        "prove-lock",
        "chaos",
        "properties",
        "screenshots",
        "fuzz",
        "openapi",
        "versions",
        "settings",
        "events",
    ),
)


@pytest.fixture
def bare_clone(tmp_path: Path) -> Path:
    """A copy with only the files that a refusal needs, so that no other target can do harm."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "sandbox").mkdir()
    for name in ("__init__.py", "live_keys.py"):
        shutil.copy(ROOT / "sandbox" / name, tmp_path / "sandbox")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).touch()
    return tmp_path


def test_every_make_target_is_tested() -> None:
    makefile = (ROOT / "Makefile").read_text()

    described = {
        line.partition(":")[0] for line in makefile.splitlines() if ": " in line and " ## " in line
    }

    assert described == set(TARGETS)


@pytest.mark.parametrize("external", ["0", "1"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_make_target_refuses(target: str, external: str, bare_clone: Path) -> None:
    before = {path for path in bare_clone.rglob("*") if "__pycache__" not in path.parts}

    made = subprocess.run(
        [MAKE, target],
        cwd=bare_clone,
        env={**os.environ, "STRIPE_API_KEY": "sk_live_abc", "EXTERNAL": external},
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode == 2
    assert made.stderr.startswith("Refused: STRIPE_API_KEY holds a live-mode Stripe key.")
    assert "sk_live_abc" not in made.stdout + made.stderr
    assert before == {path for path in bare_clone.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.parametrize("command", ["up", "demo", "smoke", "down", "check"])
def test_the_commands_refuse_without_make(command: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "sandbox", command],
        cwd=ROOT,
        env={**os.environ, "STRIPE_API_KEY": "rk_live_abc"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("Refused: STRIPE_API_KEY")


def test_pytest_refuses() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "tests/sandbox_run/test_ports.py"],
        cwd=ROOT,
        env={**os.environ, "STRIPE_API_KEY": "sk_live_abc"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert ran.stderr.startswith("Refused: STRIPE_API_KEY")


@pytest.mark.parametrize(
    "value", ["sk_live_1", " sk_live_1", "rk_live_1", "pk_live_1", "url?key=sk_live_1"]
)
def test_live_keys_are_found_in_every_variable(value: str) -> None:
    assert live_keys({"INNOCENT": "1", "ANY_NAME": value}) == ["ANY_NAME"]


@pytest.mark.parametrize(
    "value", ["sk_test_1", "", "/srv/task_live_view/1", "/home/me/sk_lived_here"]
)
def test_other_values_are_no_live_keys(value: str) -> None:
    assert live_keys({"STRIPE_API_KEY": value}) == []
