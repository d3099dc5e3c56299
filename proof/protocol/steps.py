"""What the work of each step does to stock, order and payment, by its name."""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import replace
from typing import Final, NamedTuple

from sagas.definition import Saga, Step
from sagas.work import Remote, Work

NOTHING: Final = ""
"""No effect on stock, order or payment. A call without an effect goes to another system: what that
system does is not modelled."""

RESERVES: Final = "reserves"
RELEASES: Final = "releases"
CONFIRMS: Final = "confirms"
FINISHES: Final = "finishes"
STARTS: Final = "starts a child"
RECALLS: Final = "calls its children back"

AUTHORIZES: Final = "authorizes"
CAPTURES: Final = "captures"
CLOSES: Final = "closes"

WHEN_CHILDREN_HAVE_ENDED: Final = "when its children have ended"
"""The condition of a wait. Every other wait is over when its fact is there; see ``moves``."""

PAYMENT_EFFECTS: Final = {
    ("create", "confirm"): AUTHORIZES,
    ("capture",): CAPTURES,
    ("cancel", "refund"): CLOSES,
}
"""What a call to the payment provider does, by the operations that it declares."""


class Sagas(NamedTuple):
    """The sagas to search, and what their work does. ``first`` is the saga of a new order.

    ``local_effects`` names what work does that does not call the payment provider. Work that is not
    listed has no effect in the model.
    """

    first: Saga
    cancellation: Saga
    local_effects: Mapping[str, str]
    payment_system: str
    child: Saga | None = None

    @property
    def all(self) -> tuple[Saga, ...]:
        return tuple(saga for saga in (self.first, self.cancellation, self.child) if saga)

    @property
    def work(self) -> dict[str, Work]:
        """Each action and each compensation, by its name."""
        return {
            name: work
            for saga in self.all
            for step in saga.steps
            for name, work in step.action_and_compensation
        }

    @property
    def effects(self) -> dict[str, str]:
        """The effect of each action and each compensation, by its name.

        Raises ValueError for a call to the payment provider that the model does not know.
        """
        return {name: self._effect(name, work) for name, work in self.work.items()}

    def _effect(self, name: str, work: Work) -> str:
        if not isinstance(work, Remote) or work.system != self.payment_system:
            return self.local_effects.get(name, NOTHING)
        if work.operations not in PAYMENT_EFFECTS:
            raise ValueError(f"{name}: the model does not know a payment call of {work.operations}")
        return PAYMENT_EFFECTS[work.operations]


def with_patience(saga: Saga, patience: int) -> Saga:
    """Return ``saga`` with ``patience`` attempts where the number is limited."""
    return replace(saga, steps=tuple(_with_patience(step, patience) for step in saga.steps))


def _with_patience(step: Step, patience: int) -> Step:
    work = step.action
    if not isinstance(work, Remote) or work.retry.max_attempts is None:
        return step
    limited = copy(step)
    limited.action = replace(work, retry=replace(work.retry, max_attempts=patience))
    return limited


def capture_before_confirming(sagas: Sagas) -> Sagas:
    """Return ``sagas`` with the confirming and the capturing step exchanged."""
    steps: Iterable[Step] = sagas.first.steps
    by_effect = {sagas.effects[step.name]: step for step in steps}
    exchanged = {CONFIRMS: by_effect[CAPTURES], CAPTURES: by_effect[CONFIRMS]}
    changed = tuple(exchanged.get(sagas.effects[step.name], step) for step in steps)
    return sagas._replace(first=replace(sagas.first, steps=changed))
