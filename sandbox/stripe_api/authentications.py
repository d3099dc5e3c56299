"""The end of a 3D Secure authentication, which the customer reaches without a call of the API.

So no fault rule hits it, and the call log does not have it.
"""

from enum import StrEnum

from sandbox.stripe_api.account_store import AccountStore
from sandbox.stripe_api.confirmation import authenticated, authentication_failed
from sandbox.stripe_api.records import IntentStatus, PaymentIntent


class AuthenticationResult(StrEnum):
    """How an authentication ends."""

    COMPLETE = "complete"  # the card is charged, and accepts or declines
    FAIL = "fail"  # the intent needs another payment method


class NoSuchIntent(LookupError):
    """There is no PaymentIntent with this id."""


class NotWaiting(Exception):
    """The PaymentIntent does not wait for its customer, or no longer."""

    def __init__(self, intent: PaymentIntent) -> None:
        super().__init__(f"{intent.id} is {intent.status}")


def finish_authentication(
    store: AccountStore, intent_id: str, result: AuthenticationResult
) -> PaymentIntent:
    """End the authentication of a waiting intent, and return the intent as it is then.

    The caller waits for ``store.ledger.durable()`` before it responds. Raises NoSuchIntent and
    NotWaiting.
    """
    now = store.process_due_changes()
    intent = store.account.intents.get(intent_id)
    if intent is None:
        raise NoSuchIntent(f"no such PaymentIntent: {intent_id}")
    if intent.status != IntentStatus.REQUIRES_ACTION:
        raise NotWaiting(intent)
    if result is AuthenticationResult.COMPLETE:
        ended = authenticated(intent, serial=store.account.next_serial, now=now)
    else:
        ended = authentication_failed(intent, now=now)
    store.record(ended.changes, now=now)
    return store.account.intents[intent_id]
