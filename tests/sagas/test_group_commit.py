"""Group commit: items that wait at the same moment share a round; a single one does not wait."""

import threading
from concurrent.futures import Future

import pytest
from django.db import connection

from sagas.batch import Batch
from sagas.definition import Saga, local_step
from sagas.descriptions import StepText
from sagas.group_commit import GroupCommit
from sagas.messages import NextAction, Stop
from sagas.models import RunStatus, SagaRun
from sagas.runner import Runner
from tests.support.fake_sagas import Bug, FakeSagas, journal, start_many
from tests.support.in_memory_broker import MessageQueue
from tests.support.threads import start_thread
from tests.support.waits import PATIENCE_SECONDS, wait_until

MANY = 8


class Rounds:
    """Notes which items each round executes. Rounds with a gate wait for it."""

    def __init__(self) -> None:
        self.executed: list[list[int]] = []
        self.gates: dict[int, threading.Event] = {}

    def together(self, items: list[int]) -> list[str]:
        self._execute(items)
        if 13 in items:
            raise Bug
        return [f"{item} is done" for item in items]

    def alone(self, item: int) -> str:
        self._execute([item])
        if item == 13:
            raise Bug("thirteen")
        return f"{item} is done"

    def _execute(self, items: list[int]) -> None:
        self.executed.append(items)
        gate = self.gates.get(len(self.executed))
        assert gate is None or gate.wait(PATIENCE_SECONDS)


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


def group_of(rounds: Rounds, limit: int = 50) -> GroupCommit[int, str]:
    return GroupCommit(rounds.together, rounds.alone, limit)


def submit_behind_the_first(
    group: GroupCommit[int, str], rounds: Rounds, items: list[int]
) -> list[Future[str]]:
    """Make the first item wait in round one, and all others after it in this order."""
    rounds.gates[1] = threading.Event()
    submitted = []
    for item in items:
        submitted.append(start_thread(group.submit, item))
        wait_until(lambda: len(rounds.executed) + len(group._waiting) == len(submitted))
    return submitted


def test_a_single_item_does_not_wait(rounds: Rounds) -> None:
    group = group_of(rounds)

    assert group.submit(1) == "1 is done"
    assert group.submit(2) == "2 is done"

    assert rounds.executed == [[1], [2]]


def test_items_that_come_meanwhile_share_the_next_round(rounds: Rounds) -> None:
    submitted = submit_behind_the_first(group_of(rounds), rounds, [1, 2, 3, 4, 5])

    rounds.gates[1].set()

    assert [future.result(PATIENCE_SECONDS) for future in submitted] == [
        f"{n} is done" for n in (1, 2, 3, 4, 5)
    ]
    assert rounds.executed == [[1], [2, 3, 4, 5]]


@pytest.mark.parametrize(
    ("limit", "executed"),
    [
        (1, [[1], [2], [3], [4], [5], [6]]),
        (2, [[1], [2, 3], [4, 5], [6]]),
        (50, [[1], [2, 3, 4, 5, 6]]),
    ],
)
def test_a_round_takes_no_more_than_its_limit(
    rounds: Rounds, limit: int, executed: list[list[int]]
) -> None:
    group = group_of(rounds, limit)
    submitted = submit_behind_the_first(group, rounds, [1, 2, 3, 4, 5, 6])

    rounds.gates[1].set()

    assert [future.result(PATIENCE_SECONDS) for future in submitted] == [
        f"{n} is done" for n in range(1, 7)
    ]
    assert rounds.executed == executed


def test_a_leader_hands_over_and_does_not_wait_for_the_next_round(rounds: Rounds) -> None:
    rounds.gates[2] = threading.Event()
    first, *others = submit_behind_the_first(group_of(rounds), rounds, [1, 2, 3])

    rounds.gates[1].set()

    assert first.result(PATIENCE_SECONDS) == "1 is done"
    wait_until(lambda: len(rounds.executed) == 2)
    assert not any(future.done() for future in others)
    rounds.gates[2].set()
    assert [future.result(PATIENCE_SECONDS) for future in others] == ["2 is done", "3 is done"]


def test_an_error_affects_only_its_own_item(rounds: Rounds) -> None:
    submitted = submit_behind_the_first(group_of(rounds), rounds, [1, 2, 13, 4])

    rounds.gates[1].set()

    good = [submitted[index].result(PATIENCE_SECONDS) for index in (0, 1, 3)]
    assert good == ["1 is done", "2 is done", "4 is done"]
    with pytest.raises(Bug, match="thirteen"):
        submitted[2].result(PATIENCE_SECONDS)
    assert rounds.executed == [[1], [2, 13, 4], [2], [13], [4]]


def test_after_an_error_further_items_are_executed(rounds: Rounds) -> None:
    group = group_of(rounds)

    with pytest.raises(Bug, match="thirteen"):
        group.submit(13)

    assert group.submit(1) == "1 is done"


# -- with the engine on top


class Gate:
    """A saga whose only step waits with its first batch, and raises for one subject if asked to."""

    def __init__(self, fakes: FakeSagas) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.failing_subject: object = None

        @local_step(queue="checkout", describe=StepText("packing", "Packing"))
        def pack(batch: Batch) -> None:
            if not self.entered.is_set():
                self.entered.set()
                assert self.opened.wait(PATIENCE_SECONDS)
            if self.failing_subject in batch.runs:
                raise Bug("not this one")

        self.saga: Saga = fakes.saga(pack)


def advance_and_disconnect(runner: Runner, run: SagaRun) -> NextAction:
    try:
        return runner.advance(run.pk)
    finally:
        connection.close()


def advance_together(gate: Gate, runner: Runner, runs: list[SagaRun]) -> list[NextAction]:
    """Keep the first run's transaction open until all the others wait."""
    executed = [start_thread(advance_and_disconnect, runner, runs[0])]
    assert gate.entered.wait(PATIENCE_SECONDS)
    executed += [start_thread(advance_and_disconnect, runner, run) for run in runs[1:]]
    wait_until(lambda: len(runner._phases._waiting) == len(runs) - 1)
    gate.opened.set()
    return [future.result(PATIENCE_SECONDS) for future in executed]


def transactions_behind_the_journal() -> int:
    """Return how many transactions wrote the rows of the journal."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM sagas_stepattempt")
        (count,) = cursor.fetchone()
    return int(count)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("limit", "transactions"), [(50, 2), (1, MANY)], ids=["shared", "control"])
def test_runs_that_wait_share_a_transaction(
    fakes: FakeSagas, messages: MessageQueue, limit: int, transactions: int
) -> None:
    gate = Gate(fakes)
    runs = start_many(gate.saga, MANY)
    runner = Runner(gate.saga, gate.saga.links[0])
    runner._phases = GroupCommit(runner._perform_group, runner._perform_single, limit)

    next_actions = advance_together(gate, runner, runs)

    assert next_actions == [Stop()] * MANY
    assert SagaRun.objects.filter(status=RunStatus.COMPLETED).count() == MANY
    assert [journal(run) for run in runs] == [[("pack", "forward", 1, "done")]] * MANY
    assert transactions_behind_the_journal() == transactions


@pytest.mark.django_db(transaction=True)
def test_a_run_that_raises_does_not_affect_the_others(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    gate = Gate(fakes)
    runs = start_many(gate.saga, 5)
    gate.failing_subject = runs[2].subject_id

    advance_together(gate, Runner(gate.saga, gate.saga.links[0]), runs)

    assert [journal(run, "outcome", "detail") for run in runs] == [
        [("done", "")],
        [("done", "")],
        [("failed", "not this one")],
        [("done", "")],
        [("done", "")],
    ]


@pytest.mark.django_db(transaction=True)
def test_messages_for_one_run_that_wait_together_advance_it_once(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    gate = Gate(fakes)
    first, doubled = start_many(gate.saga, 2)

    next_actions = advance_together(
        gate, Runner(gate.saga, gate.saga.links[0]), [first, doubled, doubled, first]
    )

    assert next_actions == [Stop()] * 4
    assert journal(first) == journal(doubled) == [("pack", "forward", 1, "done")]
