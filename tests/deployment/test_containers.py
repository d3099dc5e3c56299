"""The image and the compose file: the Procfile's processes, their variables, ports and files."""

import os
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml
from django.conf import settings

from config.application import PACKAGES
from sandbox.outside_service.services import SERVICES, setting_of
from sandbox.procfile import RELEASE, declared
from tests.support.source_files import ROOT, all_files

NOT_OURS = {"postgres", "redis"}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())[
        "services"
    ]
    return found


def process(*words: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [ROOT / "deploy" / "process", *words],
        cwd="/",
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_process_of_the_procfile_has_a_service(services: dict[str, dict[str, Any]]) -> None:
    assert services.keys() - NOT_OURS == {*declared(), RELEASE}
    assert {
        name: service["command"] for name, service in services.items() if name not in NOT_OURS
    } == {name: [name] for name in (*declared(), RELEASE)}


def test_every_service_has_the_variables_without_a_default(
    services: dict[str, dict[str, Any]],
) -> None:
    """The addresses of outside services are in the file ``.env.application``."""
    required = {
        variable.name
        for section in settings.CONFIGURATION
        for variable in section.variables
        if variable.is_required
    } - {setting_of(service) for service in SERVICES}

    assert {
        name: sorted(required - service["environment"].keys())
        for name, service in services.items()
        if name not in NOT_OURS
    } == {name: [] for name in (*declared(), RELEASE)}


def test_every_service_reads_further_settings_from_a_file(
    services: dict[str, dict[str, Any]],
) -> None:
    file = {"path": ".env.application", "required": False}

    assert {
        name: service["env_file"] for name, service in services.items() if name not in NOT_OURS
    } == {name: [file] for name in (*declared(), RELEASE)}


def test_every_port_is_published_on_loopback_only(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_image_has_the_whole_application_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    names = {path.relative_to(ROOT).parts[0] for path in all_files()}

    copied = {name for name in names if not any(fnmatchcase(name, line) for line in ignored)}

    assert copied == {
        *PACKAGES,
        *("Procfile", "deploy", "gunicorn.conf.py", "manage.py", "requirements.txt"),
    }


def test_the_image_has_no_secrets_and_no_local_data() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    for name in (".env", ".env.application", ".git", ".venv", "var"):
        assert any(fnmatchcase(name, line) for line in ignored), name


def test_a_process_runs_the_procfiles_command_without_a_shell(tmp_path: Any) -> None:
    output = tmp_path / "output"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$$ $*" >> "{output}"\n')
    python.chmod(0o755)

    ran = subprocess.Popen(
        [ROOT / "deploy" / "process", "watch"], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    )

    assert ran.wait(60) == 0
    assert (
        output.read_text() == f"{ran.pid} manage.py sagas watch\n"
    )  # the same pid: no shell in between


def test_release_runs_all_of_its_commands(tmp_path: Any) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho $*\n")
    python.chmod(0o755)

    ran = process(RELEASE, environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})

    assert ran.stdout.splitlines() == [
        "manage.py migrate",
        "manage.py synchronise_schedule",
        "manage.py synchronise_roles",
    ]


def test_an_unknown_process_is_named_in_the_error() -> None:
    ran = process("wokrer", environment={})

    assert (ran.returncode, ran.stdout) == (64, "")
    assert ran.stderr == "The Procfile has no process wokrer.\n"
