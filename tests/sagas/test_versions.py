"""Which versions of sagas have live runs."""

import json

import pytest
from django.db import connection

from orders.saga import SAGAS
from sagas.models import SagaRun
from sagas.queries.versions import count_by_version, live_versions
from tests.support.command_runner import output_of
from tests.support.fake_sagas import FakeSagas, start, start_many
from tests.support.in_memory_broker import MessageQueue
from tests.support.large_tables import insert_waiting_runs

pytestmark = pytest.mark.django_db(transaction=True)

OURS = sorted((saga.name, saga.version) for saga in SAGAS)
"""The versions that ship. None has runs here, and their names come before those of the tests."""


def line_without_runs(version: tuple[str, int]) -> str:
    """Return what the command prints about one of these."""
    name, number = version
    age = ", newest" if number == max(other for known, other in OURS if known == name) else ""
    return f"{name} version {number}{age}: 0 live runs"


def test_each_version_has_its_live_runs_by_step_and_wait(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    first = fakes.saga(fakes.local("pack"), fakes.wait("pickup"))
    second = fakes.saga(fakes.local("pack"), fakes.remote("send"), version=2)
    waiting = start_many(first, 2)
    ended = start(second)
    messages.deliver_all()
    new = start(second)
    unknown = start(second)
    SagaRun.objects.filter(pk=unknown.pk).update(saga="letter", version=7)
    for run in (*waiting, new):
        run.refresh_from_db()

    found = {(version.saga, version.version): version for version in live_versions()}

    assert list(found) == [*OURS, ("letter", 7), ("parcel", 1), ("parcel", 2)]
    old, newest, letter = found["parcel", 1], found["parcel", 2], found["letter", 7]
    assert (old.is_known, old.newest, old.runs) == (True, 2, 2)
    [place] = old.places
    assert (place.status, place.step, place.waits_for, place.runs) == (
        *("running", "pickup", "pickup", 2),
    )
    assert place.oldest_at == old.oldest_at == waiting[0].created_at
    assert (newest.runs, newest.oldest_at) == (1, new.created_at)
    assert (letter.is_known, letter.newest, letter.runs) == (False, None, 1)
    assert {(found[ours].runs, found[ours].oldest_at) for ours in OURS} == {(0, None)}
    assert ended.pk not in {run.pk for run in (*waiting, new)}


def test_the_command_shows_them(fakes: FakeSagas, messages: MessageQueue) -> None:
    first = fakes.saga(fakes.local("pack"), fakes.wait("pickup"))
    fakes.saga(fakes.local("pack"), version=2)
    run = start(first)
    messages.deliver_all()
    run.refresh_from_db()
    unknown = start(first)
    SagaRun.objects.filter(pk=unknown.pk).update(version=3, status="compensating", step="")
    unknown.refresh_from_db()

    lines = output_of("sagas", "versions").splitlines()
    as_json = json.loads(output_of("sagas", "versions", "--json"))["versions"]

    since = [
        f"oldest started {at:%Y-%m-%d %H:%M:%S} UTC" for at in (run.created_at, unknown.created_at)
    ]
    assert lines == [
        *map(line_without_runs, OURS),
        f"parcel version 1: 1 live runs, {since[0]}",
        f"  1 at pickup, waits for pickup, {since[0]}",
        "parcel version 2, newest: 0 live runs",
        f"parcel version 3, UNKNOWN TO THIS CODE: 1 live runs, {since[1]}",
        f"  1 compensating, {since[1]}",
    ]
    assert [(row["saga"], row["version"], row["runs"]) for row in as_json] == [
        *((*ours, 0) for ours in OURS),
        *(("parcel", 1, 1), ("parcel", 2, 0), ("parcel", 3, 1)),
    ]
    assert as_json[len(OURS)]["places"][0]["waits_for"] == "pickup"


def test_counts_stop_at_their_limit(fakes: FakeSagas, messages: MessageQueue) -> None:
    first, second = (fakes.saga(fakes.local("pack"), version=version) for version in (1, 2))
    start(first)
    messages.deliver_all()
    start_many(first, 2)
    start_many(second, 4)

    assert count_by_version() == {
        **dict.fromkeys(OURS, 0),
        ("parcel", 1): 2,
        ("parcel", 2): 4,
    }
    assert count_by_version(limit=3)["parcel", 2] == 3


def test_a_count_reads_no_more_rows_than_its_limit_of_each_version(fakes: FakeSagas) -> None:
    fakes.saga(fakes.local("pack"))
    insert_waiting_runs(5_000)
    insert_waiting_runs(5_000, version=2)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE sagas_sagarun")

    before = rows_read()
    found = count_by_version(limit=100)
    after = rows_read()

    assert (found["parcel", 1], found["parcel", 2]) == (100, 100)
    assert after - before < 1_000


def rows_read() -> int:
    """Return how many rows and index entries of runs this session's statements have read."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            """
            SELECT coalesce(seq_tup_read, 0) + (
                SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes
                WHERE relname = 'sagas_sagarun')
            FROM pg_stat_user_tables WHERE relname = 'sagas_sagarun'
            """
        )
        return int(cursor.fetchone()[0])
