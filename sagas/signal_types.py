"""Signals as data: what a saga declares of each signal that its runs take."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django import forms


@dataclass(frozen=True, slots=True)
class SignalContext:
    """Where a run is when a signal comes."""

    step: str
    waits_for: str
    is_compensating: bool


def while_running(context: SignalContext) -> bool:
    """Allow a signal until the run compensates."""
    return not context.is_compensating


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that the runs of a saga take; ``sagas/signals.py`` records it.

    ``schema`` is a form that checks the payload, whose fields are JSON. ``allowed_when`` is asked under
    the run's lock. ``description`` says to staff what sending it does. ``by_customer`` lets customers
    send it through the API; otherwise only the shop's server and staff may.
    """

    name: str
    description: str
    schema: type[forms.Form] = forms.Form
    allowed_when: Callable[[SignalContext], bool] = while_running
    by_customer: bool = False


def allowed_now(signals: Iterable[Signal], context: SignalContext) -> list[Signal]:
    """Return those of a saga's signals that a run takes where it is."""
    return [signal for signal in signals if signal.allowed_when(context)]
