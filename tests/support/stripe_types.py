"""Compares JSON with the type annotations inside the official library, field by field."""

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
    """Where the library's forward references lead; it loads most of its names when asked."""

    def __missing__(self, name: str) -> Any:
        if name == "CardResource":  # its own name for what it calls Card outside
            return stripe.Card
        if name == "StripeObject":
            return StripeObject
        try:
            return getattr(stripe, name)
        except AttributeError:
            raise KeyError(name) from None


def problems_in(answer: dict[str, Any]) -> list[str]:
    """What in a whole answer of the API is not as the library's types have it."""
    if "error" in answer:
        return [*_error_problems(answer["error"])]
    if answer.get("object") == "list":
        return [*_list_problems(answer)]
    return [*_object_problems(answer, RESOURCES[answer["object"]], answer["object"])]


def _error_problems(error: dict[str, Any]) -> Iterator[str]:
    yield from _object_problems(error, stripe.ErrorObject, "error")
    # The library lists the types and codes only where an intent repeats its last error.
    known = _fields(stripe.PaymentIntent.LastPaymentError)
    for name in ("type", "code"):
        yield from _problems(error.get(name), known[name], f"error.{name}")


def _list_problems(answer: dict[str, Any]) -> Iterator[str]:
    if answer.keys() != {"object", "data", "has_more", "url"}:
        yield f"list: {sorted(answer)}"
    yield from _problems(answer["has_more"], bool, "list.has_more")
    yield from _problems(answer["url"], str, "list.url")
    for item in answer["data"]:
        yield from _object_problems(item, RESOURCES[item["object"]], "list.data")


def _object_problems(value: Any, expected: type[StripeObject], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not an object"
        return
    fields = _fields(expected)  # type: ignore[arg-type] # a class can be hashed, this one too
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
            yield f"{path}: {value!r} is none of {arguments}"
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
    for each in value.values() if isinstance(value, dict) else value:
        yield from _problems(each, item, f"{path}[]")


def _union_problems(value: Any, arguments: tuple[Any, ...], path: str) -> Iterator[str]:
    if value is None and types.NoneType in arguments:
        return
    alternatives = [each for each in arguments if each is not types.NoneType]
    if any(get_origin(each) is Literal for each in alternatives):
        # The library adds plain ``str`` for values of the future; today's are the listed ones.
        alternatives = [each for each in alternatives if each is not str]
    found = [[*_problems(value, each, path)] for each in alternatives]
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
