"""The Procfile is the only list of processes."""

import sys

import pytest

from sandbox.procfile import ENV, ROOT, arguments, declared, processes
from sandbox.programs import DESK, POSTGRES, STRIPE, VALKEY, WEB, Layout, programs
from sandbox.run_directory import UP

PORTS = {POSTGRES: 1, VALKEY: 2, STRIPE: 3, WEB: 4, DESK: 5}
SERVERS = {POSTGRES, VALKEY, STRIPE}


def test_the_supervised_run_has_exactly_the_processes_of_the_procfile() -> None:
    names = [program.name for program in programs(UP, PORTS, external=frozenset())]

    assert sorted(names) == sorted(
        SERVERS | processes((ROOT / "Procfile").read_text()).keys() - {"release"}
    )


def test_web_serves_the_storefront_by_default_and_desk_the_desk() -> None:
    commands = processes((ROOT / "Procfile").read_text())

    assert commands["web"].startswith("gunicorn config.wsgi ")
    assert commands["desk"].startswith("env SERVE=desk gunicorn config.wsgi ")


def test_each_process_is_started_by_its_name() -> None:
    started = {
        program.name: program.command for program in programs(UP, PORTS, external=frozenset())
    }

    assert {name: started[name] for name in declared()} == {
        name: f"python -m sandbox.procfile {name}" for name in declared()
    }


def test_web_and_desk_listen_on_their_own_ports_on_loopback() -> None:
    environments = {
        program.name: dict(program.environment)
        for program in programs(UP, PORTS, external=frozenset())
    }

    assert {name: environment for name, environment in environments.items() if environment} == {
        WEB: {"GUNICORN_CMD_ARGS": "--bind=127.0.0.1:4"},
        DESK: {"GUNICORN_CMD_ARGS": "--bind=127.0.0.1:5"},
    }


def test_external_servers_are_not_started() -> None:
    names = {
        program.name for program in programs(UP, PORTS, external=frozenset({POSTGRES, STRIPE}))
    }

    assert names == {VALKEY, *declared()}


def test_left_out_processes_are_not_started() -> None:
    started = programs(UP, PORTS, external=frozenset(), left_out=frozenset({"flower"}))

    assert {program.name for program in started} == SERVERS | declared().keys() - {"flower"}


def test_the_default_layout_is_what_make_up_runs() -> None:
    ordinary = programs(UP, PORTS, external=frozenset())

    assert Layout().arrange(ordinary, PORTS, {}) == ordinary


def test_web_stops_before_the_workers_and_servers_stop_last() -> None:
    groups = dict.fromkeys(program.group for program in programs(UP, PORTS, external=frozenset()))

    assert list(groups) == ["postgres", "valkey", "stripe", "workers", "front"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python manage.py sagas watch", ["manage.py", "sagas", "watch"]),
        (
            "gunicorn config.wsgi --bind 127.0.0.1:$PORT",
            ["-m", "gunicorn", "config.wsgi", "--bind", "127.0.0.1:80"],
        ),
        ("celery worker -n checkout@%h", ["-m", "celery", "worker", "-n", "checkout@%h"]),
        ("flower --basic-auth=$AUTH", ["-m", "flower", "--basic-auth=a b;c%d"]),
    ],
)
def test_commands_run_with_the_present_interpreter(command: str, expected: list[str]) -> None:
    words = arguments(command, {"PORT": "80", "AUTH": "a b;c%d"})

    assert words == [sys.executable, *expected]


def test_env_stays_in_front_of_a_command() -> None:
    words = arguments("env SERVE=desk LANG=C gunicorn config.wsgi", {})

    assert words == [ENV, "SERVE=desk", "LANG=C", sys.executable, "-m", "gunicorn", "config.wsgi"]
