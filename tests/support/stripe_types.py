"""Compares JSON with the type annotations of the official library, field by field."""

import types
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import stripe  # noqa: TID251 - the contract under test
from stripe._stripe_object import (  # noqa: TID251 - the contract under test
    StripeObject,
    UntypedStripeObject,
)

RESOURCES: dict[str, type[StripeObject]] = {
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
}


class _LibraryNames(dict[str, Any]):
    """Resolves the library's forward references; the library loads most names on demand."""

    def __missing__(self, name: str) -> Any:
        if name == "CardResource":  # the library's internal name for stripe.Card
            return stripe.Card
        if name == "StripeObject":
            return StripeObject
        try:
            return getattr(stripe, name)
        except AttributeError:
            raise KeyError(name) from None


def problems_in(response: dict[str, Any]) -> list[str]:
    """Return every difference between a response of the API and the library's types."""
    if "error" in response:
        return [*_error_problems(response["error"])]
    if response.get("object") == "list":
        return [*_list_problems(response)]
    return [*_object_problems(response, RESOURCES[response["object"]], response["object"])]


def _error_problems(error: dict[str, Any]) -> Iterator[str]:
    yield from _object_problems(error, stripe.ErrorObject, "error")
    # The library lists types and codes only for the last error of an intent.
    known = _fields(stripe.PaymentIntent.LastPaymentError)
    for name in ("type", "code"):
        yield from _problems(error.get(name), known[name], f"error.{name}")


def _list_problems(page: dict[str, Any]) -> Iterator[str]:
    if page.keys() != {"object", "data", "has_more", "url"}:
        yield f"list: {sorted(page)}"
    yield from _problems(page["has_more"], bool, "list.has_more")
    yield from _problems(page["url"], str, "list.url")
    for item in page["data"]:
        yield from _object_problems(item, RESOURCES[item["object"]], "list.data")


def _object_problems(value: Any, expected: type[StripeObject], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not an object"
        return
    fields = _fields(expected)  # type: ignore[arg-type] # a class is hashable
    for name in value.keys() - fields.keys():
        yield f"{path}.{name}: unknown to {expected.__qualname__}"
    for name, hint in fields.items():
        if name in value:
            yield from _problems(value[name], hint, f"{path}.{name}")
        elif not _may_be_none(hint):
            yield f"{path}.{name}: missing"


def _problems(value: Any, hint: Any, path: str) -> Iterator[str]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        yield from _union_problems(value, arguments, path)
    elif origin is Literal:
        if value not in arguments:
            yield f"{path}: {value!r} is not one of {arguments}"
    elif origin is list:
        yield from _container_problems(value, list, arguments[0], path)
    elif origin is UntypedStripeObject:
        yield from _container_problems(value, dict, arguments[0], path)
    elif isinstance(hint, type) and issubclass(hint, StripeObject):
        yield from _object_problems(value, hint, path)
    elif hint is not Any and type(value) is not hint:
        yield f"{path}: {value!r} is not of type {hint}"


def _container_problems(value: Any, container: type[Any], item: Any, path: str) -> Iterator[str]:
    if not isinstance(value, container):
        yield f"{path}: {value!r} is not of type {container}"
        return
    for member in value.values() if isinstance(value, dict) else value:
        yield from _problems(member, item, f"{path}[]")


def _union_problems(value: Any, arguments: tuple[Any, ...], path: str) -> Iterator[str]:
    if value is None and types.NoneType in arguments:
        return
    alternatives = [hint for hint in arguments if hint is not types.NoneType]
    if any(get_origin(hint) is Literal for hint in alternatives):
        # The library adds plain ``str`` for future values; only the listed ones exist today.
        alternatives = [hint for hint in alternatives if hint is not str]
    found = [[*_problems(value, hint, path)] for hint in alternatives]
    yield from min(found, key=len)


@cache
def _fields(expected: type[StripeObject]) -> dict[str, Any]:
    hints = get_type_hints(expected, globalns={}, localns=_LibraryNames())
    return {
        name: hint
        for name, hint in hints.items()
        if not name.startswith("_") and get_origin(hint) is not ClassVar
    }


def _may_be_none(hint: Any) -> bool:
    return types.NoneType in get_args(hint)
