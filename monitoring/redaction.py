"""Removes secrets and personal data from log lines, error reports and spans.

Values are recognised by their shape, by the name of their field, or as this process's own secrets.
The first protection is that our code logs ids and codes only. This is the second one, for messages
of libraries, tracebacks and mistakes.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.conf import settings

REDACTED: Final = "[redacted]"

SHORTEST_SECRET: Final = 6
"""Shorter secrets are not searched for: they would match ordinary words in every line."""

LONGEST_TEXT: Final = 10_000
"""How many characters of one text are kept. A traceback fits; a client's long text costs no more."""

MOST_VALUES: Final = 2_000
"""How many values of nested lists and mappings are kept. An event of Sentry fits."""

OMITTED: Final = "[omitted]"

_SECRET_NAMES: Final = re.compile(
    r"passw(?:or)?d|secret|token|api_?key|authorization|cookie|credential|dsn"
    r"|e_?mail|user_?name|first_name|last_name|^actor$|^payment_method$|^idempotency_key$"
    r"|^next_action$",
    re.IGNORECASE,
)
"""Names of fields whose value is always redacted."""

_CARD_NUMBER: Final = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_BLANK_BETWEEN_DIGITS: Final = re.compile(r"(?<=\d) \d")
_DIGITS_AT_THE_END: Final = re.compile(r"(?<![\d -])[\d -]*+\Z")

# A client may choose the text, so each pattern must take time in proportion to its length. A pattern
# therefore matches a long run of characters even if no secret follows. Such a match has no group
# ``secret``, and the text stays as it is. Without this the search would start again at each
# character of the run, and take quadratic time.
_SHAPES: Final = tuple(
    re.compile(shape)
    for shape in (
        # A password in an address: postgres://, redis://, amqp://, https://.
        r"\w://[^\s:/@]*+:(?:(?P<secret>[^\s@]*+)@|[^\s@]*+)",
        r"(?i)\b(?:bearer|basic|token)\s++(?P<secret>[\w.~+/=-]{8,}+)",
        # password=..., "secret": "...", api_key: ...
        (
            r"(?i)(?:passw(?:or)?d|secret|token|api[_-]?key|authorization|cookie|sessionid)"
            r"[\"']?+\s*+[=:]\s*+[\"']?+(?!\[)(?P<secret>[^\s\"',;&})\]]++)"
        ),
        # Stripe: keys, client secrets, ids of cards and customers.
        r"\b(?P<secret>(?:sk|rk|pk|whsec)_\w{8,}+)",
        r"(?:pi|seti)_[0-9A-Za-z]++_(?P<secret>secret_\w++)",
        r"\b(?P<secret>(?:pm|card|src|tok|cus|ba)_[0-9A-Za-z]\w*+)",
        r"(?P<secret>[\w.+-]++@[\w-]++\.[\w.-]*\w)|[\w.+-]++",
        # Our own tokens, and other long random text.
        r"\b(?P<secret>holdfast_[0-9A-Za-z]{16,}+)",
        r"\b(?=[A-Za-z]*+\d)(?=\d*+[A-Za-z])(?P<secret>[0-9A-Za-z]{40,}+)\b",
        r"\b(?:(?P<secret>eyJ[\w-]++\.[\w-]++\.[\w-]++)|eyJ[\w-]++)",
        # Values signed by Django.
        r"(?P<secret>[\w.=+/-]++:[\w-]{6}:[\w-]{27,64}+)|[\w.=+/-]++",
        # PostgreSQL repeats the values that a constraint refused.
        (
            r"Key \([^)]*+"
            r"(?:\)=\((?P<secret>[^\n]*?)(?=\) (?:already|is|conflicts)|\)\.|\n|\Z))?"
        ),
        r"Failing row contains (?P<secret>\([^\n]*+)",
        r"invalid input syntax for type [\w ]++(?:: (?P<secret>\"[^\n]*+))?",
    )
)


def redact(text: str) -> str:
    """Return ``text`` without anything that has the shape of a secret or of personal data.

    A text longer than LONGEST_TEXT is cut, so that a client's text costs a few milliseconds at most.
    """
    text = shortened(text)
    if known := _known_secrets_pattern():
        text = known.sub(REDACTED, text)
    for shape in _SHAPES:
        text = shape.sub(_without_secret, text)
    return _CARD_NUMBER.sub(_without_card, text)


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return ``text``, or its beginning if it has more than ``longest`` characters.

    It is cut between two words, and never inside a secret, because ``redact`` does not recognise a
    part of a secret. Nothing is kept of a text that is one long word.
    """
    if len(text) <= longest:
        return text
    end = _end_of_whole_words(text, longest)
    return f"{text[:end]} [{len(text) - end:,} characters cut]"


def redacted(name: str, value: Any) -> Any:
    """Return the value of a field with all texts redacted, also inside lists and mappings.

    Values after the first MOST_VALUES are replaced by OMITTED.
    """
    return _redacted(name, value, iter(range(MOST_VALUES)))


def _redacted(name: str, value: Any, remaining: Iterator[int]) -> Any:
    if next(remaining, None) is None:
        return OMITTED
    if value is not None and not isinstance(value, bool) and _SECRET_NAMES.search(name):
        return REDACTED
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        items = islice(value.items(), MOST_VALUES)
        return {redact(str(key)): _redacted(str(key), item, remaining) for key, item in items}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", item, remaining) for item in islice(value, MOST_VALUES)]
    return value


def _end_of_whole_words(text: str, end: int) -> int:
    """Return where to cut ``text`` before ``end``: at a blank outside of any secret.

    Two kinds of secrets can contain blanks: card numbers, and this process's own secrets.
    """
    while end > 0:
        end = _blank_before(text, end)
        if _BLANK_BETWEEN_DIGITS.match(text, end):
            digits = _DIGITS_AT_THE_END.search(text, 0, end)
            end = digits.start() if digits else 0
        elif begins := _begins_of_known_secrets(text, end):
            end = min(begins)
        else:
            break
    return end


def _blank_before(text: str, end: int) -> int:
    """Return where the blanks before the last word of ``text[:end]`` begin; 0 if it is one word."""
    words = text[:end].rsplit(maxsplit=1)
    return len(words[0]) if len(words) > 1 else 0


def _begins_of_known_secrets(text: str, cut: int) -> list[int]:
    """Return the beginnings of this process's secrets that a cut at ``cut`` would divide."""
    begins = [
        text.find(secret, max(0, cut - len(secret) + 1), cut + len(secret) - 1)
        for secret in _known_secrets()
    ]
    return [begin for begin in begins if begin >= 0]


def _without_secret(found: re.Match[str]) -> str:
    if found["secret"] is None:
        return found.group()
    begin, end = found.span("secret")
    return f"{found.string[found.start() : begin]}{REDACTED}{found.string[end : found.end()]}"


def _without_card(found: re.Match[str]) -> str:
    digits = [int(character) for character in found.group() if character.isdigit()]
    return REDACTED if _has_luhn_sum(digits) else found.group()


def _has_luhn_sum(digits: list[int]) -> bool:
    """Return whether the Luhn check digit is correct (ISO/IEC 7812-1, annex B)."""
    doubled = [sum(divmod(digit * 2, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


@lru_cache(maxsize=1)
def _known_secrets_pattern() -> re.Pattern[str] | None:
    """Return a pattern that finds this process's secrets; None if there is no long one."""
    known = _known_secrets()
    return re.compile("|".join(map(re.escape, known))) if known else None


@lru_cache(maxsize=1)
def _known_secrets() -> list[str]:
    """Return this process's secrets that are long enough to search for, the longest first."""
    long_enough = (secret for secret in _secrets() if len(secret) >= SHORTEST_SECRET)
    return sorted(long_enough, key=len, reverse=True)


def _secret_settings() -> set[str]:
    """Return the settings that their sections declare as secret: keys, and URLs with passwords."""
    names = (
        variable.name
        for section in settings.CONFIGURATION
        for variable in section.variables
        if variable.is_secret
    )
    return {value for name in names if isinstance(value := getattr(settings, name, None), str)}


def _secrets() -> set[str]:
    secrets = {*settings.SECRET_KEY_FALLBACKS, *_secret_settings()}
    secrets |= {str(database.get("PASSWORD") or "") for database in settings.DATABASES.values()}
    for url in (settings.REDIS_URL, settings.CELERY_BROKER_URL):
        password = urlsplit(url).password or ""
        secrets |= {password, unquote(password)}
    return secrets
