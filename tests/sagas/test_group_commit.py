"""Runs that wait at the same moment share a transaction; one alone waits for nobody."""

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
    """What is carried out in which round; the first round waits at a gate, as all do if told."""

    def __init__(self) -> None:
        self.carried: list[list[int]] = []
        self.gates: dict[int, threading.Event] = {}

    def together(self, items: list[int]) -> list[str]:
        self._carry(items)
        if 13 in items:
            raise Bug
        return [f"{each} is done" for each in items]

    def alone(self, item: int) -> str:
        self._carry([item])
        if item == 13:
            raise Bug("thirteen")
        return f"{item} is done"

    def _carry(self, items: list[int]) -> None:
        self.carried.append(items)
        gate = self.gates.get(len(self.carried))
        assert gate is None or gate.wait(PATIENCE_SECONDS)


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


def group_of(rounds: Rounds, limit: int = 50) -> GroupCommit[int, str]:
    return GroupCommit(rounds.together, rounds.alone, limit)


def submit_behind_the_first(
    group: GroupCommit[int, str], rounds: Rounds, items: list[int]
) -> list[Future[str]]:
    """Have the first item held in round one, and all others wait in this order."""
    rounds.gates[1] = threading.Event()
    submitted = []
    for item in items:
        submitted.append(start_thread(group.submit, item))
        wait_until(lambda: len(rounds.carried) + len(group._waiting) == len(submitted))
    return submitted


def test_one_alone_waits_for_nobody(rounds: Rounds) -> None:
    group = group_of(rounds)

    assert group.submit(1) == "1 is done"
    assert group.submit(2) == "2 is done"

    assert rounds.carried == [[1], [2]]


def test_those_who_come_meanwhile_share_the_next_round(rounds: Rounds) -> None:
    submitted = submit_behind_the_first(group_of(rounds), rounds, [1, 2, 3, 4, 5])

    rounds.gates[1].set()

    assert [each.result(PATIENCE_SECONDS) for each in submitted] == [
        f"{n} is done" for n in (1, 2, 3, 4, 5)
    ]
    assert rounds.carried == [[1], [2, 3, 4, 5]]


@pytest.mark.parametrize(
    ("limit", "carried"),
    [
        (1, [[1], [2], [3], [4], [5], [6]]),
        (2, [[1], [2, 3], [4, 5], [6]]),
        (50, [[1], [2, 3, 4, 5, 6]]),
    ],
)
def test_a_round_takes_no_more_than_its_limit(
    rounds: Rounds, limit: int, carried: list[list[int]]
) -> None:
    group = group_of(rounds, limit)
    submitted = submit_behind_the_first(group, rounds, [1, 2, 3, 4, 5, 6])

    rounds.gates[1].set()

    assert [each.result(PATIENCE_SECONDS) for each in submitted] == [
        f"{n} is done" for n in range(1, 7)
    ]
    assert rounds.carried == carried


def test_a_leader_hands_over_and_does_not_wait_for_those_behind(rounds: Rounds) -> None:
    rounds.gates[2] = threading.Event()
    first, *others = submit_behind_the_first(group_of(rounds), rounds, [1, 2, 3])

    rounds.gates[1].set()

    assert first.result(PATIENCE_SECONDS) == "1 is done"
    wait_until(lambda: len(rounds.carried) == 2)
    assert not any(each.done() for each in others)
    rounds.gates[2].set()
    assert [each.result(PATIENCE_SECONDS) for each in others] == ["2 is done", "3 is done"]


def test_a_bad_item_spoils_nobody_elses(rounds: Rounds) -> None:
    submitted = submit_behind_the_first(group_of(rounds), rounds, [1, 2, 13, 4])

    rounds.gates[1].set()

    good = [submitted[index].result(PATIENCE_SECONDS) for index in (0, 1, 3)]
    assert good == ["1 is done", "2 is done", "4 is done"]
    with pytest.raises(Bug, match="thirteen"):
        submitted[2].result(PATIENCE_SECONDS)
    assert rounds.carried == [[1], [2, 13, 4], [2], [13], [4]]


def test_a_bad_item_alone_does_not_close_the_door(rounds: Rounds) -> None:
    group = group_of(rounds)

    with pytest.raises(Bug, match="thirteen"):
        group.submit(13)

    assert group.submit(1) == "1 is done"


# -- with the engine on top


class Gate:
    """A saga whose only step holds its first batch until told, and can be told whom to dislike."""

    def __init__(self, fakes: FakeSagas) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.disliked: object = None

        @local_step(queue="checkout", describe=StepText("packing", "Packing"))
        def pack(batch: Batch) -> None:
            if not self.entered.is_set():
                self.entered.set()
                assert self.opened.wait(PATIENCE_SECONDS)
            if self.disliked in batch.runs:
                raise Bug("not this one")

        self.saga: Saga = fakes.saga(pack)


def advance_and_disconnect(runner: Runner, run: SagaRun) -> NextAction:
    try:
        return runner.advance(run.pk)
    finally:
        connection.close()


def advance_together(gate: Gate, runner: Runner, runs: list[SagaRun]) -> list[NextAction]:
    """Have the first run's transaction stay open until all the others wait."""
    carried = [start_thread(advance_and_disconnect, runner, runs[0])]
    assert gate.entered.wait(PATIENCE_SECONDS)
    carried += [start_thread(advance_and_disconnect, runner, each) for each in runs[1:]]
    wait_until(lambda: len(runner._phases._waiting) == len(runs) - 1)
    gate.opened.set()
    return [each.result(PATIENCE_SECONDS) for each in carried]


def transactions_behind_the_journal() -> int:
    """How many transactions wrote the rows that are there."""
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
    runner._phases = GroupCommit(runner._together, runner._alone, limit)

    next_actions = advance_together(gate, runner, runs)

    assert next_actions == [Stop()] * MANY
    assert SagaRun.objects.filter(status=RunStatus.COMPLETED).count() == MANY
    assert [journal(each) for each in runs] == [[("pack", "forward", 1, "done")]] * MANY
    assert transactions_behind_the_journal() == transactions


@pytest.mark.django_db(transaction=True)
def test_a_run_that_raises_spoils_nobody_elses(fakes: FakeSagas, messages: MessageQueue) -> None:
    gate = Gate(fakes)
    runs = start_many(gate.saga, 5)
    gate.disliked = runs[2].subject_id

    advance_together(gate, Runner(gate.saga, gate.saga.links[0]), runs)

    assert [journal(each, "outcome", "detail") for each in runs] == [
        [("done", "")],
        [("done", "")],
        [("failed", "not this one")],
        [("done", "")],
        [("done", "")],
    ]


@pytest.mark.django_db(transaction=True)
def test_messages_for_one_run_that_wait_together_carry_it_once(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    gate = Gate(fakes)
    first, doubled = start_many(gate.saga, 2)

    next_actions = advance_together(
        gate, Runner(gate.saga, gate.saga.links[0]), [first, doubled, doubled, first]
    )

    assert next_actions == [Stop()] * 4
    assert journal(first) == journal(doubled) == [("pack", "forward", 1, "done")]
