"""Our operations as calls of Stripe's library, its answers and errors in our words.

The only importer of stripe.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast

import stripe
from django.conf import settings
from stripe.params import PaymentIntentCreateParams

from outbound import errors as outbound_errors
from outbound.deadline import Deadline
from outbound.errors import NoAnswer
from outbound.rate_limit import CallRate
from outbound.service import Call, OutsideService
from payments.errors import (
    AccessDenied,
    CallInsideTransaction,
    DeadlinePassed,
    OutcomeUnknown,
    PaymentDeclined,
    PaymentError,
    ProviderBusy,
    RefundRejected,
    RequestRejected,
    UnexpectedState,
)
from payments.provider_types import Intent, IntentStatus, ProviderRefund, RefundStatus

API_VERSION: Final = stripe.api_version
"""What a payment stores beside its parameters: they are repeated under the version they were
first sent with, whatever library a later deploy brings."""

PAGE = 100
"""The most that Stripe gives in one page."""

stripe.enable_telemetry = False
# At lower levels the library logs what it sends and receives, client secrets included.
logging.getLogger("stripe").setLevel(logging.WARNING)


def intent_params(
    *, amount_minor: int, currency: str, payment_method: str, metadata: Mapping[str, str]
) -> dict[str, Any]:
    """The exact parameters of an intent, to be stored before it is first asked for.

    Cards only, authorized first and captured later. Confirming is a call of its own: an intent
    whose id got lost on the way can never charge anyone.
    """
    return {
        "amount": amount_minor,
        "currency": currency.lower(),
        "payment_method": payment_method,
        "allowed_payment_method_types": ["card"],
        "capture_method": "manual",
        "metadata": dict(metadata),
    }


class StripeGateway:
    """Stripe, asked once per call: it never retries, and never acts without the caller's key.

    A call with the same key, parameters and version as before has its effect at most once, and
    gets the first answer again, for 24 hours. After that the key is new to the bank.

    Every operation raises CallInsideTransaction, DeadlinePassed and ProviderBusy (the bank was not
    asked or did not act), OutcomeUnknown (it may have acted), AccessDenied, RequestRejected.
    A crash in the middle of a call is an unknown outcome, too.
    """

    def create_intent(
        self, params: Mapping[str, Any], *, key: str, api_version: str, deadline: Deadline
    ) -> Intent:
        """Create an intent that charges nobody yet; PaymentDeclined if its method is unusable."""
        with _asking("create_intent", deadline):
            return _intent(
                _client().v1.payment_intents.create(
                    cast(PaymentIntentCreateParams, params), _once(key, api_version)
                )
            )

    def confirm_intent(
        self, intent_id: str, *, key: str, api_version: str, deadline: Deadline
    ) -> Intent:
        """Have the money set aside; PaymentDeclined or UnexpectedState if it was not.

        Nobody is there to see a challenge of the card's bank: a card that asks for one is refused
        with ``authentication_required``.
        """
        with _asking("confirm_intent", deadline, intent_id):
            return _intent(
                _client().v1.payment_intents.confirm(
                    intent_id, {"error_on_requires_action": True}, _once(key, api_version)
                )
            )

    def capture_intent(
        self, intent_id: str, *, amount_minor: int, key: str, api_version: str, deadline: Deadline
    ) -> Intent:
        """Take ``amount_minor`` of what is set aside and release the rest; UnexpectedState."""
        with _asking("capture_intent", deadline, intent_id):
            return _intent(
                _client().v1.payment_intents.capture(
                    intent_id, {"amount_to_capture": amount_minor}, _once(key, api_version)
                )
            )

    def cancel_intent(
        self, intent_id: str, *, key: str, api_version: str, deadline: Deadline
    ) -> Intent:
        """Release what is held and end the intent for good; UnexpectedState if money moved."""
        with _asking("cancel_intent", deadline, intent_id):
            return _intent(
                _client().v1.payment_intents.cancel(intent_id, None, _once(key, api_version))
            )

    def retrieve_intent(self, intent_id: str, *, deadline: Deadline) -> Intent:
        return _retrieve_intent(intent_id, deadline)

    def list_intents(self, *, created_from: datetime, deadline: Deadline) -> Iterator[Intent]:
        """Every intent of the account created since then, newest first, to the second.

        Pages are fetched as they are read, and the deadline covers them all.
        """
        list_page = _client().v1.payment_intents.list
        window = {"gte": int(created_from.timestamp())}
        return _pages("list_intents", deadline, list_page, _intent, created=window)

    def create_refund(
        self,
        intent_id: str,
        *,
        amount_minor: int,
        metadata: Mapping[str, str],
        key: str,
        api_version: str,
        deadline: Deadline,
    ) -> ProviderRefund:
        """Send ``amount_minor`` back; RefundRejected if the bank will not. It may fail days later."""
        with _asking("create_refund", deadline, intent_id):
            return _refund(
                _client().v1.refunds.create(
                    {
                        "payment_intent": intent_id,
                        "amount": amount_minor,
                        "metadata": dict(metadata),
                    },
                    _once(key, api_version),
                )
            )

    def list_refunds(self, intent_id: str, *, deadline: Deadline) -> list[ProviderRefund]:
        """Every refund of the intent, newest first."""
        list_page = _client().v1.refunds.list
        return list(_pages("list_refunds", deadline, list_page, _refund, payment_intent=intent_id))

    def list_refunds_since(
        self, created_from: datetime, *, deadline: Deadline
    ) -> Iterator[ProviderRefund]:
        """Every refund of the account created since then, newest first, to the second.

        Pages are fetched as they are read, and the deadline covers them all.
        """
        list_page = _client().v1.refunds.list
        window = {"gte": int(created_from.timestamp())}
        return _pages("list_refunds_since", deadline, list_page, _refund, created=window)


@contextmanager
def _asking(operation: str, deadline: Deadline, intent_id: str = "") -> Iterator[None]:
    """Make one request, and raise its errors as those of payments."""
    try:
        with _service.call(operation, deadline) as call, _in_our_terms(call, intent_id):
            yield
    except outbound_errors.CallInsideTransaction as error:
        raise CallInsideTransaction(str(error)) from None
    except outbound_errors.DeadlinePassed as error:
        raise DeadlinePassed(str(error)) from None
    except outbound_errors.RateLimited as error:
        raise ProviderBusy(str(error)) from None


@contextmanager
def _in_our_terms(call: Call, intent_id: str) -> Iterator[None]:
    try:
        yield
    except stripe.InvalidRequestError as error:
        if error.code in _WRONG_STATE and intent_id:
            intent = _intent_in(error) or _retrieve_intent(intent_id, call.deadline)
            raise UnexpectedState(intent) from None
        raise _rejection(error, call) from None
    except stripe.StripeError as error:
        # Not chained: the library's text may repeat the whole answer, client secret included.
        raise _in_our_words(error, call) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if call.response is None:
            raise
        # An answer of a shape that neither the library nor we know, from a proxy for example.
        raise _unknown("unreadable answer", call) from error


def _once(key: str, api_version: str) -> stripe.RequestOptions:
    if not key or not api_version:
        # The library would make up what is missing, and another one at the next attempt.
        raise ValueError("a call that changes something needs its stored key and API version")
    return {"idempotency_key": key, "stripe_version": api_version}


_WRONG_STATE = frozenset(
    {
        "payment_intent_unexpected_state",
        "charge_already_captured",
        "charge_expired_for_capture",
        "capture_charge_authorization_expired",
    }
)
_METHOD_UNUSABLE = frozenset(
    {
        "payment_intent_incompatible_payment_method",
        "payment_method_currency_mismatch",
        "payment_method_invalid_parameter",
        "payment_method_unactivated",
        "payment_method_unexpected_state",
        "payment_method_unsupported_type",
    }
)
_REFUND_IMPOSSIBLE = frozenset(
    {
        "charge_already_refunded",
        "charge_disputed",
        "charge_not_refundable",
        "refund_disputed_payment",
    }
)


def _in_our_words(error: stripe.StripeError, call: Call) -> Exception:
    """The one table from the library's errors to ours; what is not in it stays itself."""
    text = _describe(error, call)
    match error:
        case stripe.CardError():
            return PaymentDeclined(_decline_code(error.error), intent=_intent_in(error))
        case stripe.RateLimitError() | stripe.APIError(http_status=HTTPStatus.CONFLICT):
            return ProviderBusy(text)
        case stripe.APIError() | stripe.APIConnectionError():
            return _unknown(text, call)
        case stripe.AuthenticationError() | stripe.PermissionError():
            return AccessDenied(text)
        case stripe.IdempotencyError():
            return RequestRejected(text)
    return error


def _rejection(error: stripe.InvalidRequestError, call: Call) -> PaymentError:
    """Tell whose fault it is that the bank did not take the request: not always ours."""
    code = error.code or ""
    if code in _REFUND_IMPOSSIBLE:
        return RefundRejected(code)
    if code in _METHOD_UNUSABLE:
        return PaymentDeclined(code, intent=_intent_in(error))
    if code == "resource_missing" and error.param == "payment_method":
        return PaymentDeclined("unknown_payment_method")
    return RequestRejected(_describe(error, call))


def _describe(error: stripe.StripeError, call: Call) -> str:
    """Say what went wrong for a log: nothing that we sent, and nothing that the bank told."""
    if isinstance(error, stripe.APIConnectionError):
        return f"{call.operation}: {error.user_message}"
    stated = (getattr(error.error, "type", None), getattr(error.error, "code", None))
    said = " ".join(filter(None, (str(error.http_status), *stated)))
    request = _answer_headers(call).get("Request-Id")
    return f"{call.operation}: {said}, request {request}"


def _unknown(text: str, call: Call) -> OutcomeUnknown:
    return OutcomeUnknown(text, replayed=_answer_headers(call).get("Idempotent-Replayed") == "true")


def _answer_headers(call: Call) -> Mapping[str, str]:
    return call.response.headers if call.response is not None else {}


def _decline_code(stated: object) -> str:
    """The bank's most precise word for a decline; its errors leave out what has no value."""
    code = getattr(stated, "code", None)
    decline_code = getattr(stated, "decline_code", None)
    if {code, decline_code} & {"authentication_required", "authentication_not_handled"}:
        return "authentication_required"  # one situation, told from two sides
    return decline_code or code or "card_declined"


def _intent_in(error: stripe.StripeError) -> Intent | None:
    found = getattr(error.error, "payment_intent", None)
    return _intent(found) if found else None


def _intent(found: stripe.PaymentIntent) -> Intent:
    declined = found.last_payment_error
    return Intent(
        id=found.id,
        status=IntentStatus(found.status),
        amount_minor=found.amount,
        capturable_minor=found.amount_capturable,
        received_minor=found.amount_received,
        currency=found.currency,
        decline_code=_decline_code(declined) if declined else "",
        metadata=found.metadata.to_dict(),
        created_at=datetime.fromtimestamp(found.created, UTC),
    )


def _refund(found: stripe.Refund) -> ProviderRefund:
    return ProviderRefund(
        id=found.id,
        intent_id=cast(str, found.payment_intent),
        status=RefundStatus(str(found.status)),
        amount_minor=found.amount,
        currency=found.currency,
        metadata=found.metadata.to_dict() if found.metadata else {},
        failure_reason=getattr(found, "failure_reason", None) or "",
        created_at=datetime.fromtimestamp(found.created, UTC),
    )


def _retrieve_intent(intent_id: str, deadline: Deadline) -> Intent:
    with _asking("retrieve_intent", deadline):
        return _intent(_client().v1.payment_intents.retrieve(intent_id))


Found = TypeVar("Found", bound=stripe.StripeObject)
Read = TypeVar("Read", Intent, ProviderRefund)


def _pages(
    operation: str,
    deadline: Deadline,
    list_page: Callable[[Any], stripe.ListObject[Found]],
    read: Callable[[Found], Read],
    **filters: Any,
) -> Iterator[Read]:
    params = {"limit": PAGE, **filters}
    while True:
        with _asking(operation, deadline):
            page = list_page(params)
            rows = [read(each) for each in page.data]
            more = page.has_more
        yield from rows
        if not more:
            return
        params["starting_after"] = rows[-1].id


_service: Final = OutsideService(
    "stripe",
    authorities=stripe.ca_bundle_path,
    rate=lambda: CallRate(
        per_second=settings.STRIPE_CALLS_PER_SECOND,
        fallback_per_second=settings.STRIPE_FALLBACK_CALLS_PER_SECOND,
        account=settings.STRIPE_API_KEY,
    ),
    outcomes={
        PaymentDeclined: "refused",
        RefundRejected: "refused",
        UnexpectedState: "unexpected_state",
        ProviderBusy: "busy",
        OutcomeUnknown: "unknown",
        AccessDenied: "denied",
        RequestRejected: "rejected",
        DeadlinePassed: "not_asked",
        CallInsideTransaction: "not_asked",
    },
)


class _Transport(stripe.HTTPClient):
    """Has Stripe's library send through ``outbound``."""

    name = "urllib3"

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        try:
            answer = _service.send(method.upper(), url, headers or {}, post_data)
        except NoAnswer as error:
            raise stripe.APIConnectionError(str(error)) from None  # type: ignore[no-untyped-call]  # the library leaves its errors untyped
        return answer.text, answer.status, answer.headers


def _client() -> stripe.StripeClient:
    return _client_of(settings.STRIPE_API_KEY, settings.STRIPE_API_BASE)


@lru_cache(maxsize=1)
def _client_of(api_key: str, api_base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base or stripe.DEFAULT_API_BASE},
        http_client=_Transport(),
        max_network_retries=0,
    )
