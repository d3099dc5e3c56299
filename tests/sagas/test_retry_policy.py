"""The delay after a number of attempts, and when the retries are spent."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.retry_policy import RetryPolicy

A_MILLISECOND = timedelta(milliseconds=1)
# Halving and multiplying a timedelta rounds to whole microseconds.
A_ROUNDING = timedelta(microseconds=1)


@settings(deadline=None)  # chance alone decides, not how busy the machine is
@given(
    initial_delay=st.timedeltas(A_MILLISECOND, timedelta(hours=1)),
    max_delay=st.timedeltas(A_MILLISECOND, timedelta(days=1)),
    attempts=st.integers(min_value=1, max_value=10**6),
    jitter=st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_a_delay_is_between_half_and_the_whole_and_never_above_the_longest(
    initial_delay: timedelta, max_delay: timedelta, attempts: int, jitter: float
) -> None:
    whole = min(
        initial_delay * 2 ** min(attempts - 1, 27), max_delay
    )  # 27 doublings of 1 ms exceed a day

    delay = RetryPolicy(initial_delay=initial_delay, max_delay=max_delay).delay(attempts, jitter)

    assert whole / 2 - A_ROUNDING <= delay <= whole + A_ROUNDING
    assert delay <= max_delay


@pytest.mark.parametrize("attempts", [31, 64, 1025, 10**6])
def test_no_number_of_attempts_overflows(attempts: int) -> None:
    policy = RetryPolicy(initial_delay=timedelta(hours=1), max_delay=timedelta(days=1))

    assert timedelta(hours=12) <= policy.delay(attempts, 0.5) <= timedelta(days=1)


def test_half_of_a_delay_is_fixed_and_half_is_jitter() -> None:
    policy = RetryPolicy(initial_delay=timedelta(hours=1), max_delay=timedelta(hours=1))

    assert [policy.delay(1, jitter) for jitter in (0, 0.5, 1)] == [
        timedelta(minutes=30),
        timedelta(minutes=45),
        timedelta(hours=1),
    ]


@pytest.mark.parametrize(
    ("max_attempts", "attempts", "is_spent"),
    [
        (3, 1, False),
        (3, 2, False),
        (3, 3, True),
        (3, 4, True),
        (1, 0, False),
        (1, 1, True),
        (None, 1, False),
        (None, 10**6, False),
    ],
)
def test_retries_are_spent_with_the_last_attempt(
    max_attempts: int | None, attempts: int, *, is_spent: bool
) -> None:
    assert RetryPolicy(max_attempts=max_attempts).is_spent(attempts) is is_spent
