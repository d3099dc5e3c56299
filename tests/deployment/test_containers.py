"""The image and the compose file: the Procfile's processes, and nothing that production lacks."""

import os
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml
from django.conf import settings

from config.application import PACKAGES
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
    assert {name: each["command"] for name, each in services.items() if name not in NOT_OURS} == {
        name: [name] for name in (*declared(), RELEASE)
    }


def test_every_service_is_told_what_has_no_default(services: dict[str, dict[str, Any]]) -> None:
    required = {
        each.name
        for section in settings.CONFIGURATION
        for each in section.variables
        if each.is_required
    }

    assert {
        name: sorted(required - each["environment"].keys())
        for name, each in services.items()
        if name not in NOT_OURS
    } == {name: [] for name in (*declared(), RELEASE)}


def test_nothing_listens_where_others_could_reach_it(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for each in services.values() for port in each.get("ports", ())]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_image_has_the_whole_application_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    names = {path.relative_to(ROOT).parts[0] for path in all_files()}

    taken = {name for name in names if not any(fnmatchcase(name, line) for line in ignored)}

    assert taken == {
        *PACKAGES,
        *("Procfile", "deploy", "gunicorn.conf.py", "manage.py", "requirements.txt"),
    }


def test_no_secret_and_no_data_of_this_machine_gets_into_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    for name in (".env", ".git", ".venv", "var"):
        assert any(fnmatchcase(name, line) for line in ignored), name


def test_a_process_becomes_what_the_procfile_says(tmp_path: Any) -> None:
    said = tmp_path / "said"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$$ $*" >> "{said}"\n')
    python.chmod(0o755)

    ran = subprocess.Popen(
        [ROOT / "deploy" / "process", "watch"], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    )

    assert ran.wait(60) == 0
    assert said.read_text() == f"{ran.pid} manage.py sagas watch\n"  # with no shell in between


def test_what_runs_before_the_others_runs_to_its_end(tmp_path: Any) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho $*\n")
    python.chmod(0o755)

    ran = process(RELEASE, environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})

    assert ran.stdout.splitlines() == [
        "manage.py migrate",
        "manage.py synchronise_schedule",
        "manage.py synchronise_roles",
    ]


def test_a_process_that_is_not_there_is_named() -> None:
    ran = process("wokrer", environment={})

    assert (ran.returncode, ran.stdout) == (64, "")
    assert ran.stderr == "The Procfile has no process wokrer.\n"
