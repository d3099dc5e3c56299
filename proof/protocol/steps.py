"""The steps of sagas as the model sees them: what each does to stock, order and payment."""

from typing import Final, NamedTuple

NOTHING: Final = ""
"""No effect on stock, order or payment. A call without an effect goes to another system: what that
system does is not modelled."""

RESERVES: Final = "reserves"
RELEASES: Final = "releases"
CONFIRMS: Final = "confirms"
FINISHES: Final = "finishes"

AUTHORIZES: Final = "authorizes"
CAPTURES: Final = "captures"
CLOSES: Final = "closes"


class Step(NamedTuple):
    """One step of a saga.

    ``is_patient``: its retries have no limit. ``proceeds``: when they are spent, the run goes on.
    """

    name: str
    effect: str
    is_remote: bool
    queue: str
    compensation: str = ""
    compensation_effect: str = NOTHING
    compensation_is_remote: bool = False
    is_patient: bool = True
    proceeds: bool = False
    may_be_rejected: bool = False


class Sagas(NamedTuple):
    """The steps of both sagas of an order."""

    checkout: tuple[Step, ...]
    cancellation: tuple[Step, ...]

    @property
    def effects(self) -> dict[str, str]:
        """The effect of each action and each compensation, by its name."""
        steps = (*self.checkout, *self.cancellation)
        compensations = {step.compensation: step.compensation_effect for step in steps}
        return compensations | {step.name: step.effect for step in steps}

    @property
    def rejectable(self) -> frozenset[str]:
        """The names of the actions that may be rejected."""
        steps = (*self.checkout, *self.cancellation)
        return frozenset(step.name for step in steps if step.may_be_rejected)


def capture_before_confirming(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return ``steps`` with the confirming and the capturing step exchanged."""
    by_effect = {step.effect: step for step in steps}
    exchanged = {CONFIRMS: by_effect[CAPTURES], CAPTURES: by_effect[CONFIRMS]}
    return tuple(exchanged.get(step.effect, step) for step in steps)
