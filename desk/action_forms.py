"""The texts and forms of actions: what staff read and fill in before an action is executed."""

from dataclasses import dataclass
from typing import Final

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest

from desk import permissions
from desk.models import ActionKind
from desk.order_state import OrderState, required_permission
from sagas.identifiers import new_id


@dataclass(frozen=True, slots=True)
class ActionText:
    """The label of one action's button, and the explanation on its confirmation page."""

    button: str
    explanation: str
    reason_label: str = "Reason"
    hint: str = "Stored with your name. The customer never sees it."


ACTION_TEXTS: Final = {
    ActionKind.RETRY: ActionText(
        "Retry now",
        "Clears every back-off and the flag, and queues the order at once. A call in progress goes on."
        " An order that waits past a deadline stays flagged.",
    ),
    ActionKind.CANCEL: ActionText(
        "Cancel and refund",
        "Compensates every step that was done: an authorized amount is released, a captured amount is"
        " refunded, reserved stock is available again. This cannot be reversed.",
    ),
    ActionKind.PAUSE: ActionText(
        "Pause",
        "The order starts no further step until it is resumed. It can still be cancelled.",
    ),
    ActionKind.RESUME: ActionText("Resume", "The order continues at its current step."),
    ActionKind.NOTE: ActionText(
        "Add note",
        "Nothing about the order changes.",
        reason_label="Note",
        hint="Staff see it in the order's timeline. The customer never does.",
    ),
    ActionKind.APPROVE: ActionText(
        "Approve",
        "The order goes on. A decision is final: to stop the order later, cancel it.",
        reason_label="Comment",
    ),
    ActionKind.REJECT: ActionText(
        "Reject",
        "The order does not go on: every step that was done is compensated. A decision is final.",
        reason_label="Comment",
    ),
    ActionKind.EXTEND: ActionText(
        "Extend the deadline",
        "The order waits longer. The time counts from now. An approval that it waits for gets the same"
        " deadline.",
    ),
    ActionKind.SIGNAL: ActionText(
        "Send a signal",
        "The order's run takes the signal as if a program had sent it. It cannot be taken back.",
    ),
}


class ReasonForm(forms.Form):
    """A reason, and a token: a form that is sent several times acts once."""

    reason = forms.CharField(max_length=1000, widget=forms.Textarea(attrs={"rows": 3}))
    token = forms.UUIDField(widget=forms.HiddenInput)


def empty_form() -> ReasonForm:
    return ReasonForm(initial={"token": new_id()})


def operator_of(request: HttpRequest) -> User:
    """Return the member of staff who sent the request."""
    assert isinstance(request.user, User)  # noqa: S101 - the admin site requires a login
    return request.user


def has_permission(operator: User, kind: ActionKind, state: OrderState) -> bool:
    """Return whether the operator has the permission for this action on this order."""
    return operator.has_perm(required_permission(kind, state))


def has_permission_for_some_order(operator: User, kind: ActionKind) -> bool:
    """Return whether the operator has the permission for this action on any order at all."""
    if kind == ActionKind.RESUME and operator.has_perm(permissions.RESUME_UNRESOLVED):
        return True
    return operator.has_perm(permissions.PERMISSION_OF[kind])
