"""The payment provider: what it does with a request, as Stripe documents it.

An intent's status only moves forward, and each operation is possible in certain statuses only; in
another one the answer has the intent's status. For a known key the provider repeats its first answer.
The model does not save the answers that a repetition gets anyway: those of cancel and capture, and
those about a wrong status.
"""

from typing import Final, NamedTuple

from proof.protocol.state import NO_INTENT, Provider, Request

CREATED: Final = "created"  # requires_confirmation
HELD: Final = "held"  # requires_capture
DECLINED: Final = "declined"  # requires_payment_method
ACTION: Final = "action"  # requires_action: the customer must authenticate
TAKEN: Final = "taken"  # succeeded
GIVEN_BACK: Final = "given_back"  # succeeded, and refunded in full
CANCELED: Final = "canceled"
AUTHORIZATION_EXPIRED: Final = "expired"  # the provider canceled it: its authorization is too old

NO_ANSWER: Final = "no answer"
SAVED_ERROR: Final = "saved 500"
REFUND_REJECTED: Final = "refund rejected"

MOVES: Final = {
    ("confirm", CREATED): (HELD, DECLINED),
    ("capture", HELD): (TAKEN,),
    ("cancel", CREATED): (CANCELED,),
    ("cancel", HELD): (CANCELED,),
    ("cancel", DECLINED): (CANCELED,),
    ("cancel", ACTION): (CANCELED,),
    ("refund", TAKEN): (GIVEN_BACK,),
}
SAVED: Final = ("create", "charge", "confirm", "refund")
READS: Final = ("retrieve", "find", "list_refunds")


class ProviderAnswer(NamedTuple):
    status: str
    intent: int = NO_INTENT
    is_replay: bool = False


def possible_answers(
    provider: Provider, request: Request
) -> list[tuple[str, Provider, ProviderAnswer]]:
    """Return every possible outcome of ``request``: words for the trace, the provider, its answer."""
    if request.operation in READS:
        return [("", provider, read(provider, request))]
    for operation, key, status, intent in provider.answers:
        if (operation, key) == (request.operation, request.key):
            words = ", and gets the saved 500 again" if status == SAVED_ERROR else ""
            return [(words, provider, ProviderAnswer(status, intent, is_replay=True))]
    if request.operation in ("create", "charge"):
        return _added(provider, request)
    return _moved(provider, request)


def read(provider: Provider, request: Request) -> ProviderAnswer:
    """Return the answer to a read. ``find`` returns the newest intent with our metadata."""
    if request.operation == "find":
        newest = len(provider.intents) - 1
        return (
            ProviderAnswer(provider.intents[newest], newest)
            if provider.intents
            else ProviderAnswer("")
        )
    return ProviderAnswer(provider.intents[request.intent], request.intent)


def save_error(provider: Provider, request: Request) -> Provider:
    """Save a 500 as the answer under this key."""
    entry = (request.operation, request.key, SAVED_ERROR, request.intent)
    kept = {saved for saved in provider.answers if saved[:2] != entry[:2]}
    return provider._replace(answers=frozenset(kept | {entry}), may_forget=True)


def _added(provider: Provider, request: Request) -> list[tuple[str, Provider, ProviderAnswer]]:
    """Create an intent. A mutant confirms it at once: then the card decides."""
    number = len(provider.intents)
    if request.operation == "create":
        provider = provider._replace(intents=(*provider.intents, CREATED))
        return [("", *_saved(provider, request, CREATED, number))]
    return [
        (
            f", {end}",
            *_saved(provider._replace(intents=(*provider.intents, end)), request, end, number),
        )
        for end in (HELD, DECLINED)
    ]


def _moved(provider: Provider, request: Request) -> list[tuple[str, Provider, ProviderAnswer]]:
    """Move an intent, or answer with its status."""
    number = request.intent
    status = provider.intents[number]
    if request.operation == "refund" and status != TAKEN:
        return [("", provider, ProviderAnswer(REFUND_REJECTED, number))]
    ends = MOVES.get((request.operation, status))
    if ends is None:
        return [("", provider, ProviderAnswer(status, number))]
    moved = []
    for end in ends:
        intents = (*provider.intents[:number], end, *provider.intents[number + 1 :])
        words = f", {end}" if len(ends) > 1 else ""
        moved.append((words, *_saved(provider._replace(intents=intents), request, end, number)))
    return moved


def _saved(
    provider: Provider, request: Request, status: str, intent: int
) -> tuple[Provider, ProviderAnswer]:
    if request.operation in SAVED:
        entry = (request.operation, request.key, status, intent)
        provider = provider._replace(answers=provider.answers | {entry})
    return provider, ProviderAnswer(status, intent)
