"""Request parameters as Stripe accepts them: form-encoded, nested by brackets, none unknown."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl

from sandbox.stripe_api.errors import ApiError, invalid, missing

MAX_FIELDS = 1_000
MAX_METADATA_KEYS = 50
MAX_METADATA_KEY_LENGTH = 40
MAX_METADATA_VALUE_LENGTH = 500

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_BOOLEANS = {"true": True, "false": False}

Nested = dict[str, "str | Nested"]


def parse_pairs(encoded: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            encoded.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise ApiError(400, f"Invalid request parameters: {error}.") from error


def nest(pairs: list[tuple[str, str]]) -> Nested:
    """Return the parameters as nested dicts: ``a[b]=1`` becomes ``{"a": {"b": "1"}}``.

    ``a[]=1`` and ``a[0]=1`` both become ``{"a": {"0": "1"}}``.
    """
    root: Nested = {}
    for name, value in pairs:
        parts = _NAME.fullmatch(name)
        if parts is None:
            raise invalid(f"Invalid parameter name: {name}", param=name)
        path = [parts[1], *re.findall(r"\[([^\[\]]*)\]", parts[2])]
        node = root
        for step in path[:-1]:
            child = node.setdefault(step or str(len(node)), {})
            if isinstance(child, str):
                raise invalid(f"Invalid nesting: {name}", param=name)
            node = child
        node[path[-1] or str(len(node))] = value
    return root


class Parameters:
    """Typed access to the parameters. ``reject_unknown`` rejects those that were not read."""

    def __init__(self, values: Nested) -> None:
        self._values = values
        self._unread = set(values)

    def text(self, name: str) -> str | None:
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise invalid(f"Invalid string: {name}", param=name)
        if not value:
            raise invalid(
                f"You passed an empty string for '{name}'. Remove it from your request "
                "or supply a non-empty value.",
                param=name,
                code="parameter_invalid_empty",
            )
        return value

    def required_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise invalid(f"Invalid {name}: must be one of {', '.join(allowed)}", param=name)
        return value

    def flag(self, name: str) -> bool | None:
        value = self.text(name)
        if value is None:
            return None
        if value not in _BOOLEANS:
            raise invalid(f"Invalid boolean: {value}", param=name)
        return _BOOLEANS[value]

    def integer(self, name: str, *, at_least: int = 0, at_most: int | None = None) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        number = _as_integer(value, name)
        if number < at_least:
            raise invalid(
                f"This value must be greater than or equal to {at_least}.",
                param=name,
                code="parameter_invalid_integer",
            )
        if at_most is not None and number > at_most:
            raise invalid(
                f"This value must be less than or equal to {at_most}.",
                param=name,
                code="parameter_invalid_integer",
            )
        return number

    def texts(self, name: str) -> list[str]:
        return list(self._mapping(name, "array").values())

    def nested(self, name: str) -> "Parameters | None":
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, str):
            raise invalid("Invalid object", param=name)
        return Parameters(value)

    def time_bounds(self, name: str) -> tuple[int | None, int | None]:
        """Return inclusive bounds, from ``name=t`` or ``name[gt|gte|lt|lte]=t``."""
        if isinstance(self._values.get(name), str):
            exact = self.integer(name)
            return exact, exact
        params = self.nested(name)
        if params is None:
            return None, None
        after, since = params.integer("gt"), params.integer("gte")
        before, until = params.integer("lt"), params.integer("lte")
        params.reject_unknown(within=name)
        if after is not None:
            since = max(after + 1, since or 0)
        if before is not None:
            until = before - 1 if until is None else min(before - 1, until)
        return since, until

    def metadata(self, *, onto: Mapping[str, str]) -> dict[str, str]:
        """Return ``onto`` with the given metadata. An empty value removes its key, ``metadata=`` all."""
        if self._values.get("metadata") == "":
            self._unread.discard("metadata")
            return {}
        merged = {**onto, **self._mapping("metadata", "hash")}
        for key, value in merged.items():
            _check_metadata(key, value)
        kept = {key: value for key, value in merged.items() if value}
        if len(kept) > MAX_METADATA_KEYS:
            raise invalid(
                f"Metadata can have at most {MAX_METADATA_KEYS} keys, but you passed in "
                f"{len(kept)}.",
                param="metadata",
            )
        return kept

    def reject_unknown(self, *, within: str = "") -> None:
        if self._unread:
            names = sorted(f"{within}[{name}]" if within else name for name in self._unread)
            plural = "s" if len(names) > 1 else ""
            raise invalid(
                f"Received unknown parameter{plural}: {', '.join(names)}",
                param=names[0],
                code="parameter_unknown",
            )

    def _take(self, name: str) -> "str | Nested | None":
        self._unread.discard(name)
        return self._values.get(name)

    def _mapping(self, name: str, kind: str) -> dict[str, str]:
        value = self._take(name)
        if value is None:
            return {}
        if isinstance(value, str):
            raise invalid(f"Invalid {kind}", param=name)
        flat = {key: item for key, item in value.items() if isinstance(item, str)}
        if len(flat) != len(value):
            raise invalid(f"Invalid {kind}", param=name)
        return flat


def _as_integer(value: str, name: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise invalid(f"Invalid integer: {value}", param=name, code="parameter_invalid_integer")
    return int(value)


def _check_metadata(key: str, value: str) -> None:
    if len(key) > MAX_METADATA_KEY_LENGTH:
        raise invalid(
            f"Metadata keys can have up to {MAX_METADATA_KEY_LENGTH} characters, but you passed in "
            f"a key that is {len(key)} characters. Invalid key: {key}",
            param="metadata",
        )
    if len(value) > MAX_METADATA_VALUE_LENGTH:
        raise invalid(
            f"Metadata values can have up to {MAX_METADATA_VALUE_LENGTH} characters, but you "
            f"passed in a value that is {len(value)} characters.",
            param=f"metadata[{key}]",
        )
