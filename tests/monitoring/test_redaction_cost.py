"""The cost of redaction is linear in the length of any text, because a client may choose the text."""

import re
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitoring import redaction
from monitoring.redaction import redact, redacted, shortened
from tests.support.cpu_time import cpu_seconds, is_linear

pytestmark = pytest.mark.timeout(60)
"""Seconds for each test, which needs two at most. A pattern without its bounds would never end."""

SIZE = 5_000
FIFTY_KB = 50_000
TEN_TIMES_THE_PROMISE = 0.5
"""Seconds. The promise: redacting 50 KB of any text takes less than 50 ms."""

PIECES = [
    *("1", "a", "-", ".", "@", ":", "/", " ", "\n", "_", "=", "+", '"', "'", "(", ")", "[", "é"),
    *("x://", "token", "password", "Bearer ", "eyJ", "eyJa.b", "holdfast_", "1 ", "4242 ", "a1b2"),
    *("pm_", "sk_", "pi_", "pi_a_", "secret_", ":abcdef:", "Key (", ")=(", ") is", "a@b.c"),
    *("Failing row contains (", "invalid input syntax for type ", ': "'),
]


@dataclass(frozen=True)
class Pumped:
    """A text of any length: one piece, repeated."""

    pump: str
    before: str = ""
    after: str = ""

    def __call__(self, size: int) -> str:
        return f"{self.before}{self.pump * (size // len(self.pump))}{self.after}"


SECRET_WORDS = "passw(?:or)?d|secret|token|api[_-]?key|authorization|cookie|sessionid"
PLAIN_SHAPES = {
    "address": (r"(\w://[^\s:/@]*):[^\s@]*@", r"\1:[redacted]@"),
    "bearer": (r"(?i)(\b(?:bearer|basic|token)\s+)[\w.~+/=-]{8,}", r"\1[redacted]"),
    "named": (
        rf"(?i)(\b[\w-]*(?:{SECRET_WORDS})[\"']?\s*[=:]\s*[\"']?)(?!\[)[^\s\"',;&}})\]]+",
        r"\1[redacted]",
    ),
    "key": (r"\b(?:sk|rk|pk|whsec)_\w{8,}", "[redacted]"),
    "client secret": (r"(\b(?:pi|seti)_[0-9A-Za-z]+_)secret_\w+", r"\1[redacted]"),
    "payment method": (r"\b(?:pm|card|src|tok|cus|ba)_[0-9A-Za-z]\w*", "[redacted]"),
    "mail": (r"[\w.+-]+@[\w-]+\.[\w.-]*\w", "[redacted]"),
    "token": (r"\bholdfast_[0-9A-Za-z]{16,}", "[redacted]"),
    "random": (r"\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[0-9A-Za-z]{40,}\b", "[redacted]"),
    "jwt": (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "[redacted]"),
    "signed": (r"[\w.=+/-]+:[\w-]{6}:[\w-]{27,64}", "[redacted]"),
    "constraint": (
        r"(Key \([^)]*\)=\()[^\n]*?(?=\) (?:already|is|conflicts)|\)\.|\n|$)",
        r"\1[redacted]",
    ),
    "row": (r"(Failing row contains )\([^\n]*", r"\1[redacted]"),
    "value": (r"(invalid input syntax for type [\w ]+: )\"[^\n]*", r"\1[redacted]"),
}
"""The same shapes in the same order, written plainly, without regard to cost."""

WORST = [
    ("address", Pumped("a://:")),
    ("bearer", Pumped(" ", before="token")),
    ("bearer", Pumped("token ")),
    ("named", Pumped("1-")),
    ("named", Pumped("password-")),
    ("named", Pumped(" ", before="password")),
    ("key", Pumped("sk_")),
    ("client secret", Pumped("pi_a_")),
    ("client secret", Pumped("a", before="pi_")),
    ("payment method", Pumped("pm_")),
    ("mail", Pumped("a")),
    ("mail", Pumped("b", before="a@")),
    ("mail", Pumped(".", before="a@b.")),
    ("token", Pumped("holdfast_")),
    ("random", Pumped("aA")),
    ("random", Pumped("a1", after="_")),
    ("jwt", Pumped("eyJ-")),
    ("jwt", Pumped("eyJa.")),
    ("signed", Pumped("a", after=":")),
    ("signed", Pumped("aaaaaa:")),
    ("constraint", Pumped("Key (")),
    ("constraint", Pumped("Key ()=(", after="\nx")),
    ("row", Pumped("Failing row contains (")),
    ("value", Pumped("invalid input syntax for type ")),
    ("value", Pumped('invalid input syntax for type a: "', after="\nx")),
]
NAMES = list(PLAIN_SHAPES)


def without(name: str, text: str) -> str:
    """Redact only one shape, without cutting the text."""
    return redaction._SHAPES[NAMES.index(name)].sub(redaction._without_secret, text)


def without_any(text: str) -> str:
    """Redact all shapes, without cutting the text."""
    for name in NAMES:
        text = without(name, text)
    return redaction._CARD_NUMBER.sub(redaction._without_card, text)


def test_each_shape_has_a_plain_form_and_a_worst_input() -> None:
    assert len(PLAIN_SHAPES) == len(redaction._SHAPES)
    assert {name for name, _ in WORST} == set(PLAIN_SHAPES)


@pytest.mark.parametrize(("name", "text"), WORST)
def test_the_worst_input_of_a_shape_has_linear_cost(name: str, text: Pumped) -> None:
    assert is_linear(lambda found: without(name, found), text, SIZE)


@pytest.mark.parametrize("pump", ["1 ", "1-", "1", "4242 ", "4242-", " 1234567890123456789"])
def test_digits_have_linear_cost(pump: str) -> None:
    def without_cards(text: str) -> str:
        return redaction._CARD_NUMBER.sub(redaction._without_card, text)

    assert is_linear(without_cards, Pumped(pump), SIZE)


def test_finding_the_place_to_cut_has_linear_cost() -> None:
    def cut(text: str) -> str:
        return shortened(text, len(text) - 1)

    assert is_linear(cut, Pumped("1 ", after="x 1 1 1"), SIZE)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    before=st.lists(st.sampled_from(PIECES), max_size=3).map("".join),
    pump=st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join),
    after=st.lists(st.sampled_from(PIECES), max_size=2).map("".join),
)
@example(before="", pump="1-", after="(: x")
def test_repeated_pieces_have_linear_cost(before: str, pump: str, after: str) -> None:
    assert is_linear(without_any, Pumped(pump, before, after), 2_000)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from([*PIECES, "Z" * 27, "a1" * 20]), max_size=12).map("".join))
@example("a@b.c-@d.e")
@example("eyJ-eyJa.b.c eyJa.eyJb.eyJc.d")
@example("a:bbbbbb:cccccc:" + "Z" * 27)
@example("x://a:b/x://c:d@e")
@example('invalid input syntax for type a: "b"c" d')
def test_a_shape_finds_the_same_as_its_plain_form(text: str) -> None:
    assert {name: without(name, text) for name in NAMES} == {
        name: re.sub(shape, replacement, text)
        for name, (shape, replacement) in PLAIN_SHAPES.items()
    }


@pytest.mark.parametrize("pump", [*PIECES, "1-", "a@", "a@b-", "a/aaaaa:", "Key ()=(", "((", "[["])
def test_fifty_kilobytes_of_any_text_are_cheap(pump: str) -> None:
    text = Pumped(pump, after="(: x")(FIFTY_KB)

    assert cpu_seconds(lambda: redact(text)) < TEN_TIMES_THE_PROMISE


def test_fifty_kilobytes_in_small_values_are_cheap() -> None:
    many = ["1-"] * (FIFTY_KB // 2)
    deep = [{"1-" * 10: many, "x": [many, {"y": many}]}] * 10
    result: list[object] = []

    assert cpu_seconds(lambda: result.extend(redacted("n", deep))) < TEN_TIMES_THE_PROMISE
    assert leaves(result) <= 3 * redaction.MOST_VALUES
    assert redaction.OMITTED in str(result)


def leaves(value: object) -> int:
    if isinstance(value, dict):
        return sum(map(leaves, value.values()))
    return sum(map(leaves, value)) if isinstance(value, list) else 1


def test_names_of_fields_have_linear_cost() -> None:
    for first, second in product(["e", "user", "api", "passw", "_"], repeat=2):
        assert is_linear(lambda name: redacted(name, 1), Pumped(first + second), SIZE)
