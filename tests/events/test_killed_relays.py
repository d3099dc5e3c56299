"""Relays, readers and the broker are killed: no event is lost, and each order's arrive in order."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sandbox.stripe_process import SandboxServer
from tests.support.application_environment import environment_for
from tests.support.brokers import DurableValkey, kafka_cluster
from tests.support.event_drill import (
    expected,
    in_turn,
    reader,
    record_steadily,
    relay,
    restart,
    wait_for_all,
)
from tests.support.production_processes import Program

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS, PER_SECOND = 900, 300


@pytest.fixture
def environment(sandbox_stripe: SandboxServer) -> dict[str, str]:
    return environment_for(sandbox_stripe) | {"EVENTS_FROM_FIRST": "1"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[DurableValkey]:
    broker = DurableValkey(tmp_path)
    yield broker
    broker.close()


def start(folder: Path, environment: Mapping[str, str], example: str) -> list[Program]:
    """Start two relays and a reader."""
    relays = [relay(folder / f"relay{number}", environment) for number in range(2)]
    return [*relays, reader(folder / "received", environment, example)]


def test_a_reader_of_redis_gets_every_event_though_everything_is_killed(
    environment: dict[str, str], broker: DurableValkey, tmp_path: Path
) -> None:
    environment |= {"EVENT_TRANSPORTS": "redis", "REDIS_URL": broker.url}
    programs = start(tmp_path, environment, "follow_orders")

    def kill_broker() -> None:
        broker.kill()
        broker.start()
        programs[-1].kill()  # without its broker it has ended, or ends
        programs[-1].start()

    record_steadily(EVENTS, PER_SECOND, in_turn(*map(restart, programs), kill_broker))

    arrived = wait_for_all(tmp_path / "received", sum(map(len, expected().values())))
    for program in programs:
        program.kill()
    assert arrived.by_key == expected()


@pytest.mark.prove
def test_a_reader_of_kafka_gets_every_event_though_relays_and_reader_are_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with kafka_cluster() as url:
        environment |= {
            "EVENT_TRANSPORTS": "kafka",
            "KAFKA_URL": url,
            "KAFKA_SERVERS": url.removeprefix("kafka://"),
        }
        programs = start(tmp_path, environment, "follow_orders_kafka")
        record_steadily(EVENTS, PER_SECOND, in_turn(*map(restart, programs)))

        arrived = wait_for_all(tmp_path / "received", sum(map(len, expected().values())))
        for program in programs:
            program.kill()
    assert arrived.by_key == expected()
