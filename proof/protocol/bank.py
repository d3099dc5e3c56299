"""The bank: what it does with a request, as Stripe documents it.

An intent moves only forwards, and each operation is possible in certain states only; in another one
the answer says where the intent is. Under a key that it knows the bank repeats its first answer.
Answers that repeating would give again anyway need not be saved in the model: those of cancel and
capture, and those about a wrong state.
"""

from typing import Final, NamedTuple

from proof.protocol.state import NO_INTENT, Bank, Request

CREATED: Final = "created"  # requires_confirmation
HELD: Final = "held"  # requires_capture
DECLINED: Final = "declined"  # requires_payment_method
TAKEN: Final = "taken"  # succeeded
GIVEN_BACK: Final = "given_back"  # succeeded, and refunded in full
CANCELED: Final = "canceled"
LAPSED: Final = "lapsed"  # canceled by the bank itself, the authorization being too old

NO_ANSWER: Final = "no answer"
SAVED_ERROR: Final = "saved 500"
REFUND_REFUSED: Final = "refund refused"

MOVES: Final = {
    ("confirm", CREATED): (HELD, DECLINED),
    ("capture", HELD): (TAKEN,),
    ("cancel", CREATED): (CANCELED,),
    ("cancel", HELD): (CANCELED,),
    ("cancel", DECLINED): (CANCELED,),
    ("refund", TAKEN): (GIVEN_BACK,),
}
SAVED: Final = ("create", "charge", "confirm", "refund")
READS: Final = ("retrieve", "find", "list_refunds")


class Answer(NamedTuple):
    says: str
    intent: int = NO_INTENT
    is_replay: bool = False


def answers(bank: Bank, request: Request) -> list[tuple[str, Bank, Answer]]:
    """Return each way in which the bank may carry out ``request``: the card decides."""
    if request.operation in READS:
        return [("", bank, read(bank, request))]
    for operation, key, says, intent in bank.answers:
        if (operation, key) == (request.operation, request.key):
            words = ", and gets the saved 500 again" if says == SAVED_ERROR else ""
            return [(words, bank, Answer(says, intent, is_replay=True))]
    if request.operation in ("create", "charge"):
        return _added(bank, request)
    return _moved(bank, request)


def read(bank: Bank, request: Request) -> Answer:
    """Answer what changes nothing. ``find`` is the newest intent that carries our metadata."""
    if request.operation == "find":
        newest = len(bank.intents) - 1
        return Answer(bank.intents[newest], newest) if bank.intents else Answer("")
    return Answer(bank.intents[request.intent], request.intent)


def save_error(bank: Bank, request: Request) -> Bank:
    """Answer 500 under this key from now on."""
    entry = (request.operation, request.key, SAVED_ERROR, request.intent)
    kept = {each for each in bank.answers if each[:2] != entry[:2]}
    return bank._replace(answers=frozenset(kept | {entry}), may_forget=True)


def _added(bank: Bank, request: Request) -> list[tuple[str, Bank, Answer]]:
    """Create an intent; where it is confirmed at once, as by mutants, the card decides."""
    number = len(bank.intents)
    if request.operation == "create":
        bank = bank._replace(intents=(*bank.intents, CREATED))
        return [("", *_saved(bank, request, CREATED, number))]
    return [
        (f", {end}", *_saved(bank._replace(intents=(*bank.intents, end)), request, end, number))
        for end in (HELD, DECLINED)
    ]


def _moved(bank: Bank, request: Request) -> list[tuple[str, Bank, Answer]]:
    """Move an intent, or say where it is."""
    number = request.intent
    status = bank.intents[number]
    if request.operation == "refund" and status != TAKEN:
        return [("", bank, Answer(REFUND_REFUSED, number))]
    ends = MOVES.get((request.operation, status))
    if ends is None:
        return [("", bank, Answer(status, number))]
    moved = []
    for end in ends:
        intents = (*bank.intents[:number], end, *bank.intents[number + 1 :])
        words = f", {end}" if len(ends) > 1 else ""
        moved.append((words, *_saved(bank._replace(intents=intents), request, end, number)))
    return moved


def _saved(bank: Bank, request: Request, says: str, intent: int) -> tuple[Bank, Answer]:
    if request.operation in SAVED:
        entry = (request.operation, request.key, says, intent)
        bank = bank._replace(answers=bank.answers | {entry})
    return bank, Answer(says, intent)
