"""Several changes in one statement, and reads with a condition in SQL."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from bulk_sql.statements import Insert, Update, select, write
from sagas.identifiers import new_id
from sagas.models import Direction, Outcome, RunStatus, SagaRun, StepAttempt
from tests.support.fake_sagas import FakeSagas, journal, start, start_many
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_row_gets_its_own_values(fakes: FakeSagas, messages: MessageQueue) -> None:
    runs = start_many(fakes.parcel(), 3)
    SagaRun.objects.update(leased_until="2026-11-20T12:00Z", actor="nobody")
    for number, run in enumerate(SagaRun.objects.order_by("pk")):
        runs[number] = run
        run.retry_count = number
        run.reason = f"reason '{number}' \\ \" {{}}"
        run.actor = "not written"
        run.needs_attention = number == 1
        run.leased_until = None if number == 2 else run.wake_at

    written = write(Update(runs, ["retry_count", "reason", "needs_attention", "leased_until"]))

    assert written == 3
    stored = SagaRun.objects.order_by("pk")
    assert [(run.retry_count, run.reason, run.needs_attention) for run in stored] == [
        (0, "reason '0' \\ \" {}", False),
        (1, "reason '1' \\ \" {}", True),
        (2, "reason '2' \\ \" {}", False),
    ]
    assert [run.leased_until for run in stored] == [runs[0].wake_at, runs[1].wake_at, None]
    assert {run.actor for run in stored} == {"nobody"}


@pytest.mark.parametrize(
    "value",
    [{}, {"a": [1, 2.5, None, True]}, {"text": "é \" \\ '"}, [], "text", 7],
    ids=str,
)
def test_json_is_stored_unchanged(fakes: FakeSagas, messages: MessageQueue, value: object) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.local("file")))
    messages.deliver_all()
    first, second = run.attempts.order_by("pk")
    first.output, second.output = value, {"other": 1}

    assert write(Update([first, second], ["output"])) == 2

    assert journal(run, "output") == [(value,), ({"other": 1},)]


def test_deleted_rows_are_not_counted(fakes: FakeSagas, messages: MessageQueue) -> None:
    kept, gone = start_many(fakes.parcel(), 2)
    SagaRun.objects.filter(pk=gone.pk).delete()
    kept.retry_count = gone.retry_count = 5

    assert write(Update([kept, gone], ["retry_count"])) == 1

    assert list(SagaRun.objects.values_list("retry_count", flat=True)) == [5]


def test_other_rows_are_unchanged(fakes: FakeSagas, messages: MessageQueue) -> None:
    changed, untouched = start_many(fakes.parcel(), 2)
    changed.retry_count = 5

    write(Update([changed], ["retry_count"]))

    untouched.refresh_from_db()
    assert (untouched.retry_count, untouched.status) == (0, RunStatus.RUNNING)


def test_no_rows_send_no_statement(fakes: FakeSagas) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert write(Update([], ["retry_count"])) == 0

    assert len(queries) == 0


def test_the_text_of_the_statement_does_not_depend_on_the_number_of_rows(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    runs = start_many(fakes.parcel(), 20)
    sent: list[str] = []

    def keep(execute: object, sql: str, *rest: object) -> object:
        sent.append(sql)
        assert callable(execute)
        return execute(sql, *rest)

    with connection.execute_wrapper(keep):
        write(Update(runs[:1], ["retry_count", "reason"]))
        write(Update(runs, ["retry_count", "reason"]))

    assert len(sent) == 2
    assert sent[0] == sent[1]


def test_several_changes_are_one_statement(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.local("file")))
    run.retry_count = 7
    records = [attempt(run, fence) for fence in (1, 2)]

    with CaptureQueriesContext(connection) as queries:
        written = write(Insert(records), Update([], ["outcome"]), Update([run], ["retry_count"]))

    assert (len(queries), written) == (1, 1)
    assert journal(run, "fence", "outcome", "output") == [(1, "done", {}), (2, "done", {})]
    run.refresh_from_db()
    assert run.retry_count == 7


def test_one_change_that_fails_rolls_back_all(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack")))
    run.retry_count = 7

    with pytest.raises(IntegrityError):
        write(Update([run], ["retry_count"]), Insert([attempt(run, 1), attempt(run, 1)]))

    run.refresh_from_db()
    assert run.retry_count == 0
    assert journal(run, "fence") == []


def test_ids_and_defaults_are_left_to_the_database(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack")))

    write(Insert([attempt(run, 1), attempt(run, 2)]))

    first, second = run.attempts.order_by("pk")
    assert first.pk < second.pk
    assert first.started_at == second.started_at


def test_existing_rows_may_be_kept(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack")))
    again = SagaRun(
        saga=run.saga, version=1, key=run.key, subject_id=new_id(), correlation_id=new_id()
    )

    written = write(Insert([again], "ON CONFLICT (saga, key) DO NOTHING"))

    assert written == 0
    assert list(SagaRun.objects.values_list("pk", flat=True)) == [run.pk]


def test_rows_are_read_as_the_orm_would(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack")))
    record = attempt(run, 1)
    record.output = {"a": [1, None, "é"]}
    write(Insert([record]))

    found = select(StepAttempt, "WHERE run_id = ANY(%s)", [[run.pk]], two="1 + 1")

    assert [row.__dict__ | {"_state": 0} for row in found] == [
        StepAttempt.objects.get().__dict__ | {"_state": 0, "two": 2}
    ]
    found[0].save()  # it knows that it is in the database
    assert StepAttempt.objects.count() == 1


def test_rows_are_locked_in_a_transaction_only(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack")))

    with pytest.raises(TransactionManagementError):
        select(SagaRun, "WHERE id = %s", [run.pk], lock=True)

    with transaction.atomic():
        assert select(SagaRun, "WHERE id = %s", [run.pk], lock=True) == [run]
        with (
            ThreadPoolExecutor(1) as other,
            pytest.raises(OperationalError, match="could not obtain"),
        ):
            other.submit(lock_at_once, run).result()


def attempt(run: SagaRun, fence: int) -> StepAttempt:
    return StepAttempt(
        run=run,
        step=f"step {fence}",
        direction=Direction.FORWARD,
        number=1,
        fence=fence,
        outcome=Outcome.DONE,
    )


def lock_at_once(run: SagaRun) -> None:
    try:
        with transaction.atomic():
            list(SagaRun.objects.select_for_update(nowait=True).filter(pk=run.pk))
    finally:
        connection.close()
