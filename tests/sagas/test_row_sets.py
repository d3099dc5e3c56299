"""One UPDATE for many rows, each with values of its own."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sagas.models import RunStatus, SagaRun
from sagas.row_sets import update_rows
from tests.message_queue import MessageQueue
from tests.sagas.toys import Toys, journal, start, start_many

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_row_gets_its_own_values(toys: Toys, messages: MessageQueue) -> None:
    runs = start_many(toys.parcel(), 3)
    SagaRun.objects.update(leased_until="2026-11-20T12:00Z", actor="nobody")
    for number, run in enumerate(SagaRun.objects.order_by("pk")):
        runs[number] = run
        run.tries = number
        run.reason = f"reason '{number}' \\ \" {{}}"
        run.actor = "not written"
        run.needs_attention = number == 1
        run.leased_until = None if number == 2 else run.wake_at

    written = update_rows(runs, ["tries", "reason", "needs_attention", "leased_until"])

    assert written == 3
    stored = SagaRun.objects.order_by("pk")
    assert [(each.tries, each.reason, each.needs_attention) for each in stored] == [
        (0, "reason '0' \\ \" {}", False),
        (1, "reason '1' \\ \" {}", True),
        (2, "reason '2' \\ \" {}", False),
    ]
    assert [each.leased_until for each in stored] == [runs[0].wake_at, runs[1].wake_at, None]
    assert {each.actor for each in stored} == {"nobody"}


@pytest.mark.parametrize(
    "value",
    [{}, {"a": [1, 2.5, None, True]}, {"text": "é \" \\ '"}, [], "text", 7],
    ids=str,
)
def test_json_is_kept_as_it_is(toys: Toys, messages: MessageQueue, value: object) -> None:
    run = start(toys.saga(toys.local("pack"), toys.local("file")))
    messages.deliver_all()
    first, second = run.records.order_by("pk")
    first.output, second.output = value, {"other": 1}

    assert update_rows([first, second], ["output"]) == 2

    assert journal(run, "output") == [(value,), ({"other": 1},)]


def test_rows_that_are_gone_are_not_counted(toys: Toys, messages: MessageQueue) -> None:
    kept, gone = start_many(toys.parcel(), 2)
    SagaRun.objects.filter(pk=gone.pk).delete()
    kept.tries = gone.tries = 5

    assert update_rows([kept, gone], ["tries"]) == 1

    assert list(SagaRun.objects.values_list("tries", flat=True)) == [5]


def test_other_rows_stay_as_they_are(toys: Toys, messages: MessageQueue) -> None:
    changed, untouched = start_many(toys.parcel(), 2)
    changed.tries = 5

    update_rows([changed], ["tries"])

    untouched.refresh_from_db()
    assert (untouched.tries, untouched.status) == (0, RunStatus.RUNNING)


def test_nothing_asks_the_database_nothing(toys: Toys) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert update_rows([], ["tries"]) == 0

    assert len(queries) == 0


def test_the_text_of_the_statement_does_not_depend_on_the_number_of_rows(
    toys: Toys, messages: MessageQueue
) -> None:
    runs = start_many(toys.parcel(), 20)
    sent: list[str] = []

    def keep(execute: object, sql: str, *rest: object) -> object:
        sent.append(sql)
        assert callable(execute)
        return execute(sql, *rest)

    with connection.execute_wrapper(keep):
        update_rows(runs[:1], ["tries", "reason"])
        update_rows(runs, ["tries", "reason"])

    assert len(sent) == 2
    assert sent[0] == sent[1]
