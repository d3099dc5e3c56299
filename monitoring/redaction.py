"""What must be in no line, report or span, taken out by its shape, its name, or because we know it.

The first guard is that nobody logs such things: lines carry ids and codes. This is the second, for
what comes with a library's message, a traceback, or a mistake.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.conf import settings

REDACTED: Final = "[redacted]"

SHORTEST_SECRET: Final = 6
"""Shorter values of ours would take ordinary words out of every line."""

_SECRET_NAMES: Final = re.compile(
    r"passw(?:or)?d|secret|token|api_?key|authorization|cookie|credential|dsn"
    r"|e_?mail|user_?name|first_name|last_name|^actor$|^payment_method$|^idempotency_key$",
    re.IGNORECASE,
)
"""Fields whose value is left out whatever it is."""

_CARD_NUMBER: Final = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")


def _shape(pattern: str, kept: str = "") -> tuple[re.Pattern[str], str]:
    return re.compile(pattern), f"{kept}{REDACTED}"


_SHAPES: Final = (
    # A password in an address: postgres://, redis://, amqp://, https://.
    (re.compile(r"(\w://[^\s:/@]*):[^\s@]*@"), rf"\1:{REDACTED}@"),
    _shape(r"(?i)(\b(?:bearer|basic|token)\s+)[\w.~+/=-]{8,}", r"\1"),
    # password=..., "secret": "...", api_key: ...
    _shape(
        r"(?i)(\b[\w-]*(?:passw(?:or)?d|secret|token|api[_-]?key|authorization|cookie|sessionid)"
        r"[\"']?\s*[=:]\s*[\"']?)(?!\[)[^\s\"',;&})\]]+",
        r"\1",
    ),
    # Stripe: keys, client secrets, and what stands for a card or a person.
    _shape(r"\b(?:sk|rk|pk|whsec)_\w{8,}"),
    _shape(r"(\b(?:pi|seti)_[0-9A-Za-z]+_)secret_\w+", r"\1"),
    _shape(r"\b(?:pm|card|src|tok|cus|ba)_[0-9A-Za-z]\w*"),
    _shape(r"[\w.+-]+@[\w-]+\.[\w.-]*\w"),
    # Tokens of ours, and whatever else is long and looks drawn by lot.
    _shape(r"\bholdfast_[0-9A-Za-z]{16,}"),
    _shape(r"\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[0-9A-Za-z]{40,}\b"),
    _shape(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"),
    # What Django has signed.
    _shape(r"[\w.=+/-]+:[\w-]{6}:[\w-]{27,64}"),
    # PostgreSQL repeats the values that a constraint refused.
    _shape(r"(Key \([^)]*\)=\()[^\n]*?(?=\) (?:already|is|conflicts)|\)\.|$)", r"\1"),
    _shape(r"(Failing row contains )\([^\n]*", r"\1"),
    _shape(r"(invalid input syntax for type [\w ]+: )\"[^\n]*\"", r"\1"),
)


def redact(text: str) -> str:
    """Return ``text`` without anything that has the shape of a secret or of personal data."""
    if found := _known_secrets():
        text = found.sub(REDACTED, text)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return _CARD_NUMBER.sub(_without_card, text)


def redacted(name: str, value: Any) -> Any:
    """Return what may be told of a field: texts redacted, also inside of lists and mappings."""
    if value is not None and not isinstance(value, bool) and _SECRET_NAMES.search(name):
        return REDACTED
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): redacted(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted("", each) for each in value]
    return value


def _without_card(found: re.Match[str]) -> str:
    digits = [int(each) for each in found.group() if each.isdigit()]
    return REDACTED if _has_luhn_sum(digits) else found.group()


def _has_luhn_sum(digits: list[int]) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, its digits added."""
    doubled = [sum(divmod(each * 2, 10)) for each in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


@lru_cache(maxsize=1)
def _known_secrets() -> re.Pattern[str] | None:
    """Find the secrets of this very process, wherever they turn up."""
    long_enough = {each for each in _secrets() if len(each) >= SHORTEST_SECRET}
    if not long_enough:
        return None
    return re.compile("|".join(map(re.escape, sorted(long_enough, key=len, reverse=True))))


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
    secrets |= {str(each.get("PASSWORD") or "") for each in settings.DATABASES.values()}
    for url in (settings.REDIS_URL, settings.CELERY_BROKER_URL):
        password = urlsplit(url).password or ""
        secrets |= {password, unquote(password)}
    return secrets
