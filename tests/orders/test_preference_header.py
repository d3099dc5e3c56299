"""Parsing ``Prefer: wait=N``: the forms that clients send, and the time it takes."""

from types import SimpleNamespace
from typing import Any

import pytest

from orders.api.http.prefer_header import MAX_WAIT_SECONDS, seconds_to_wait
from tests.support.cpu_time import is_linear


def parsed_seconds(header: str) -> int:
    request: Any = SimpleNamespace(headers={"Prefer": header})
    return seconds_to_wait(request)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("wait=3", 3),
        ("WAIT = 3", 3),
        ('wait="3"', 3),
        ("wait=0003", 3),
        ("wait=0", 0),
        ("wait=000", 0),
        ("wait=99999999", MAX_WAIT_SECONDS),
        ("wait", 0),
        ("wait=", 0),
        ("wait=x", 0),
        ("wait=3x", 0),
        ("wait=-1", 0),
        ("wait=3 x", 0),
        ("wait=3; x=y", 3),
        ("wait=3;", 3),
        ("respond-async, wait=3, wait=4", 3),
        ('x="a, wait=4", wait=3', 3),
        ('x="wait=4', 0),
        ("await=4, wait=3", 3),
    ],
)
def test_the_wait_preference_is_parsed(header: str, seconds: int) -> None:
    assert parsed_seconds(header) == seconds


@pytest.mark.parametrize(
    ("before", "pump", "after"),
    [
        ("wait", " ", "x"),
        ("wait=", " ", "x"),
        ("wait=3", " ", "x"),
        ("wait=", "0", "x"),
        ('wait="', "0", "x"),
        ("", "a,", ""),
        ("", '"', ""),
        ("", '\\"', ""),
        ("x=", '"\\', ""),
        ("", "a ", "x"),
        ("", "wait;", "x"),
        (" ", "a=", "x"),
    ],
)
def test_parsing_takes_linear_time(before: str, pump: str, after: str) -> None:
    assert is_linear(
        parsed_seconds, lambda size: before + pump * (size // len(pump)) + after, 2_000
    )
