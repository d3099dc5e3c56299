"""The import contracts of pyproject.toml are kept, and each of them finds a violation."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from config.application import LAYERS, PACKAGES, TOOLS
from tests.architecture.import_contracts import contracts
from tests.support.source_files import ROOT

VIOLATIONS = {
    "apps": ("inventory/services.py", "import orders.states"),
    "no-cycles": ("desk/order_state.py", "import desk.actions"),
    "tier-data": ("payments/states.py", "import payments.services"),
    "tier-services": ("inventory/services.py", "import inventory.admin"),
    "orders-api-shared": ("orders/api/http/problems.py", "import orders.api.orders.views"),
    "orders-api-resources": ("orders/api/products/views.py", "import orders.api.quotes.views"),
    "services-only-inventory": ("orders/order_events.py", "import inventory.models"),
    "services-only-payments": ("orders/cancellation_messages.py", "import payments.models"),
    "services-only-approvals": ("orders/services.py", "import approvals.models"),
    "services-only-events": ("orders/admin.py", "import events.models"),
    "engine-only-sagas": ("orders/services.py", "import sagas.models"),
    "one-provider": ("payments/admin.py", "import payments.providers.stripe.objects"),
    "stripe": ("payments/services.py", "import stripe"),
    "pure": ("orders/errors.py", "import rest_framework"),
    "outside-view": ("sandbox/ports.py", "import events.event_types"),
}
"""For each contract, the smallest violation."""


def test_the_contracts_name_every_package() -> None:
    settings = filled_settings()
    named = {contract["id"]: contract for contract in settings["contracts"]}

    assert settings["root_packages"] == [*PACKAGES, *TOOLS]
    assert named["apps"]["layers"] == [" : ".join(TOOLS), *(" | ".join(names) for names in LAYERS)]
    assert named["no-cycles"]["ancestors"] == [*PACKAGES, *TOOLS]
    assert named["outside-view"]["forbidden_modules"] == list(PACKAGES)
    assert "<" not in contracts().partition("[tool.importlinter]")[2]


def test_every_package_is_listed() -> None:
    found = {file.parent.name for file in ROOT.glob("*/__init__.py") if file.parent.name != "tests"}

    assert found == {*PACKAGES, *TOOLS}


def test_every_payment_provider_is_protected() -> None:
    """Only the registry reaches a provider: add a new package to the contract ``one-provider``."""
    named = {contract["id"]: contract for contract in filled_settings()["contracts"]}
    packages = (ROOT / "payments" / "providers").glob("*/__init__.py")

    assert sorted(named["one-provider"]["protected_modules"]) == sorted(
        f"payments.providers.{file.parent.name}" for file in packages
    )


def test_every_import_contract_is_kept(tmp_path: Path) -> None:
    verdicts, report = lint_imports(ROOT, tmp_path)

    assert set(verdicts.values()) == {"KEPT"}, report


def test_every_import_contract_finds_its_violation(tmp_path: Path) -> None:
    settings = filled_settings()
    names = {contract["name"] for contract in settings["contracts"]}
    for package in settings["root_packages"]:
        shutil.copytree(ROOT / package, tmp_path / package)
    for file, statement in VIOLATIONS.values():
        with (tmp_path / file).open("a") as source:
            source.write(f"\n{statement}\n")

    verdicts, report = lint_imports(tmp_path, tmp_path)

    assert {contract["id"] for contract in settings["contracts"]} == VIOLATIONS.keys()
    assert verdicts == dict.fromkeys(names, "BROKEN"), report


def filled_settings() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads(contracts())["tool"]["importlinter"]
    return settings


def lint_imports(folder: Path, config_folder: Path) -> tuple[dict[str, str], str]:
    """Return each contract's verdict by name, and the whole report."""
    config = config_folder / "pyproject.toml"
    config.write_text(contracts())
    program = "from importlinter.cli import lint_imports_command as lint; lint()"
    finished = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo", "--config", str(config)],
        cwd=folder,
        env={"COLUMNS": "300"},  # one line for each contract
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(.+?) ?(KEPT|BROKEN)(?: \(.*\))?$", finished.stdout, re.MULTILINE)
    assert found, finished.stdout + finished.stderr
    return dict(found), finished.stdout
