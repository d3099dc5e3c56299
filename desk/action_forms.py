"""What a person is told and asked before anything is done: the words of each act, and its form."""

from dataclasses import dataclass
from typing import Final

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest

from desk import permissions
from desk.models import ActionKind
from desk.order_state import OrderState, needed_for
from sagas.identifiers import new_id


@dataclass(frozen=True, slots=True)
class Words:
    """What one act is called, and what it does, before it is done."""

    button: str
    explanation: str
    asked_for: str = "Reason"
    hint: str = "Kept with your name. The customer never sees it."


WORDS: Final = {
    ActionKind.RETRY: Words(
        "Retry now",
        "Forgets every back-off and the flag, and queues the order at once. What is being asked at"
        " this moment is not interrupted.",
    ),
    ActionKind.CANCEL: Words(
        "Cancel and refund",
        "Undoes everything that was done: what the bank set aside is released, what it took is"
        " refunded, the stock goes back on the shelf. This cannot be taken back.",
    ),
    ActionKind.PAUSE: Words(
        "Hold",
        "The order goes no step further until somebody releases it. It can still be cancelled.",
    ),
    ActionKind.RESUME: Words("Release", "The order goes on from where it stood."),
    ActionKind.NOTE: Words(
        "Add note",
        "Nothing about the order changes.",
        asked_for="Note",
        hint="Staff see it in the order's story. The customer never does.",
    ),
}


class ReasonForm(forms.Form):
    """Why, and the token that lets a form act once however often it is sent."""

    reason = forms.CharField(max_length=1000, widget=forms.Textarea(attrs={"rows": 3}))
    token = forms.UUIDField(widget=forms.HiddenInput)


def empty_form() -> ReasonForm:
    return ReasonForm(initial={"token": new_id()})


def operator_of(request: HttpRequest) -> User:
    """Who is at the desk."""
    assert isinstance(request.user, User)  # noqa: S101 - the admin site lets nobody else in
    return request.user


def may(operator: User, kind: ActionKind, state: OrderState) -> bool:
    """Whether this person may do this to this order, were its state to allow it."""
    return operator.has_perm(needed_for(kind, state))


def may_ever(operator: User, kind: ActionKind) -> bool:
    """Whether there is an order to which this person may do this."""
    if kind == ActionKind.RESUME and operator.has_perm(permissions.RESUME_UNRESOLVED):
        return True
    return operator.has_perm(permissions.OF_KIND[kind])
