"""The errors of ``outbound`` as errors of ``payments.errors``."""

import pytest

from outbound import errors as outbound_errors
from payments import errors
from payments.providers.outside_calls import OUTCOMES, outbound_errors_translated


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (outbound_errors.CallInsideTransaction, errors.CallInsideTransaction),
        (outbound_errors.DeadlinePassed, errors.DeadlinePassed),
        (outbound_errors.RateLimited, errors.NotDoneYet),
        (outbound_errors.NoAnswer, errors.OutcomeUnknown),
    ],
)
def test_an_error_of_outbound_becomes_an_error_of_payments(
    raised: type[Exception], expected: type[Exception]
) -> None:
    with pytest.raises(expected, match="a text") as found, outbound_errors_translated():
        raise raised("a text")

    assert type(found.value) is expected


def test_a_call_without_an_answer_is_no_replayed_error() -> None:
    with pytest.raises(errors.OutcomeUnknown) as found, outbound_errors_translated():
        raise outbound_errors.NoAnswer("timed out")

    assert found.value.replayed is False


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), outbound_errors_translated():
        raise KeyError("id")


def test_the_metrics_have_an_outcome_for_each_error_of_a_provider() -> None:
    """An error without an outcome would be counted as a bug of ours."""
    ends = {errors.PaymentDeclined, errors.RefundRejected, errors.WrongStatus}
    ends |= {errors.RequestRejected, errors.AccessDenied, errors.UnknownPayment}
    ends |= {errors.NotDoneYet, errors.DeadlinePassed, errors.OutcomeUnknown}

    assert set(OUTCOMES) == ends | {errors.CallInsideTransaction}
    assert OUTCOMES[errors.RefundRejected] == OUTCOMES[errors.PaymentDeclined] == "declined"
