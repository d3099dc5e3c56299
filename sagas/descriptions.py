"""The texts of a step: its names, what it requests of its system, and a sentence for each rejection."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter


@dataclass(frozen=True, slots=True)
class StepText:
    """The names of a step, or of a compensation.

    ``staff`` is a noun phrase ("payment capture"), ``customer`` a phrase in progress ("Taking the
    money"). ``request_text`` says in one sentence what a remote step requests; it may name fields
    of the subject, such as ``{amount}``, which the page that shows it fills in.
    """

    staff: str
    customer: str
    request_text: str = ""


@dataclass(frozen=True, slots=True)
class WaitText:
    """What a run waits for: "waits for …, since …, until …, then …".

    ``staff`` and ``customer`` are noun phrases ("a decision of the shop"); ``then`` says what happens
    past the deadline, to both, as a clause ("the order is cancelled"). Where the wait goes on past its
    deadline, the customer then reads ``late``, if it is given, instead of ``customer``.
    """

    staff: str
    customer: str
    then: str
    late: str = ""


@dataclass(frozen=True, slots=True)
class RejectionText:
    """The sentences about a rejection with one code.

    ``customer`` is the sentence for every detail that is not in ``by_detail``. While compensations
    are pending the customer reads ``until_compensated`` instead, if it is given.
    Sentences may name ``{detail}``, the rejection's own.
    """

    customer: str
    staff: str = ""
    by_detail: Mapping[str, str] = field(default_factory=dict)
    until_compensated: str = ""

    def for_customer(self, detail: str, *, is_compensated: bool) -> str:
        """Return the customer's sentence about this rejection."""
        if self.until_compensated and not is_compensated:
            sentence = self.until_compensated
        else:
            sentence = self.by_detail.get(detail, self.customer)
        return sentence.format(detail=detail)

    def for_staff(self, detail: str) -> str:
        """Return the sentence for staff; empty where the code and its detail say enough."""
        return self.staff.format(detail=detail)

    @property
    def sentences(self) -> list[str]:
        """All sentences; ``staff`` and ``until_compensated`` only if they are given."""
        optional = [text for text in (self.staff, self.until_compensated) if text]
        return [self.customer, *self.by_detail.values(), *optional]


@dataclass(frozen=True, slots=True)
class FailureText:
    """What staff read about an error of a call that lasts until a person acts.

    ``happened`` says what went wrong, ``remedy`` what to do, ``meanwhile`` what the run does until then,
    each in whole sentences. ``runbook`` is the path of a page with more; empty for none.
    """

    happened: str
    remedy: str
    meanwhile: str
    runbook: str = ""


def text_problem(text: StepText, *, is_remote: bool) -> str:
    """Return what is missing in ``text``, as the end of a sentence about the step; empty if nothing."""
    if not text.staff.strip():
        return "needs a name for staff"
    if not text.customer.strip():
        return "needs a name for customers"
    if is_remote and not text.request_text.strip():
        return "needs a sentence on what it asks of its system"
    if text.request_text and not is_remote:
        return "calls no system and so asks for nothing"
    if _fields(text.staff) or _fields(text.customer):
        return "has a name with a field in it"
    return (
        ""
        if _fields(text.request_text) is not None
        else f"cannot be formatted: {text.request_text}"
    )


def wait_problem(text: WaitText) -> str:
    """Return what is missing in the texts of a wait, as ``text_problem`` does."""
    for name, given in (
        ("staff", text.staff),
        ("customers", text.customer),
        ("what happens past its deadline", text.then),
    ):
        if not given.strip():
            return f"needs words on what it waits for, for {name}"
        if _fields(given):
            return "has a field in its words on what it waits for"
    return ""


def failure_problem(code: str, text: FailureText) -> str:
    """Return what is missing in the text of a failure, as ``text_problem`` does."""
    for sentence in (text.happened, text.remedy, text.meanwhile):
        if not sentence.strip().endswith("."):
            return f"needs whole sentences about the failure {code}"
    return ""


def rejection_problem(code: str, text: RejectionText) -> str:
    """Return what is wrong with the texts of one code, as ``text_problem`` does."""
    for sentence in text.sentences:
        if not sentence.strip():
            return f"needs a sentence for {code}"
        if not (_fields(sentence) or set()) <= {"detail"} or _fields(sentence) is None:
            return f"has a sentence for {code} that cannot be formatted: {sentence}"
    return ""


def _fields(sentence: str) -> set[str] | None:
    """Return the fields that a sentence names; None for one that cannot be formatted."""
    try:
        return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}
    except ValueError:
        return None
