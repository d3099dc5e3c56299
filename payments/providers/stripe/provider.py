"""The payment provider Stripe: each operation of the protocol as one call of Stripe's library."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import stripe
from stripe.params import PaymentIntentConfirmParams, PaymentIntentCreateParams

from outbound.deadline import Deadline
from outbound.errors import NoAnswer
from outbound.rate_limit import CallRate
from outbound.service import Call, OutsideService
from payments.errors import WrongStatus
from payments.provider_types import ChargeLimits, PaymentRequest, ProviderPayment, ProviderRefund
from payments.providers.outside_calls import OUTCOMES, outbound_errors_translated
from payments.providers.protocol import PaymentProvider
from payments.providers.stripe.currencies import charge_limits, to_stripe
from payments.providers.stripe.error_codes import Meaning
from payments.providers.stripe.errors import (
    meaning_of_error,
    outcome_unknown,
    payment_of_error,
    translated_error,
)
from payments.providers.stripe.objects import read_payment, read_refund
from payments.providers.stripe.settings import stripe_settings

API_VERSION: Final = stripe.api_version
"""The API version of this release of the library. Stored payments repeat their own version."""

PAGE = 100
"""The most objects that Stripe returns in one page."""

CONFIRM_PARAMS_OF_OLD_PAYMENTS: Final = {"error_on_requires_action": True}
"""For payments stored before their parameters had a member ``confirm``: Stripe declines if the issuer
asks for authentication. Under the same key, Stripe accepts no other parameters."""

_PAYMENT_METHOD: Final = re.compile(r"pm_[A-Za-z0-9_]{1,252}")
_PROVIDER_ID: Final = re.compile(r"(pi|re)_[A-Za-z0-9_]{1,250}")

stripe.enable_telemetry = False
# At lower levels the library logs what it sends and receives, client secrets included.
logging.getLogger("stripe").setLevel(logging.WARNING)


class StripeProvider:
    """Implements ``PaymentProvider`` with Stripe's library.

    A payment is a PaymentIntent. Stripe repeats its answer to an idempotency key for 24 hours, and
    forgets the key after that.
    """

    label = "Stripe"
    api_version = API_VERSION
    payment_method_hint = "the id of a Stripe payment method, such as pm_card_visa"
    id_hint = "pi_… or re_…"
    authorization_time: timedelta | None = timedelta(days=7)  # of most cards; of some it is longer

    def accepts_payment_method(self, payment_method: str) -> bool:
        return _PAYMENT_METHOD.fullmatch(payment_method) is not None

    def recognizes_id(self, provider_id: str) -> bool:
        return _PROVIDER_ID.fullmatch(provider_id) is not None

    def dashboard_url(self, provider_id: str) -> str | None:
        """Return the page of a PaymentIntent; it shows the refunds, which have no page."""
        if not provider_id.startswith("pi_") or stripe_settings.STRIPE_API_BASE:
            return None
        mode = "test/" if "_test_" in stripe_settings.STRIPE_API_KEY else ""
        return f"https://dashboard.stripe.com/{mode}payments/{provider_id}"

    def charge_limits(self, currency: str) -> ChargeLimits | None:
        return charge_limits(currency)

    def payment_params(self, request: PaymentRequest) -> dict[str, Any]:
        """Return the parameters of a PaymentIntent: cards only, held first and captured later.

        The member ``confirm`` has those of its confirmation.
        """
        return {
            "amount": request.amount_minor,
            "currency": request.currency.lower(),
            "payment_method": request.payment_method,
            "allowed_payment_method_types": ["card"],
            "capture_method": "manual",
            "metadata": dict(request.metadata),
            "confirm": {"return_url": request.return_url} if request.return_url else {},
        }

    def create_payment(
        self, params: Mapping[str, Any], *, key: str, api_version: str, deadline: Deadline
    ) -> ProviderPayment:
        sent = {**params, "amount": to_stripe(params["amount"], params["currency"])}
        sent.pop("confirm", None)
        with _stripe_call("create_payment", deadline):
            return read_payment(
                _client().v1.payment_intents.create(
                    cast(PaymentIntentCreateParams, sent), _request_options(key, api_version)
                )
            )

    def confirm_payment(
        self,
        payment_id: str,
        params: Mapping[str, Any],
        *,
        key: str,
        api_version: str,
        deadline: Deadline,
    ) -> ProviderPayment:
        """Confirm as the protocol says. Without a return URL the action is one for Stripe.js."""
        sent = params.get("confirm", CONFIRM_PARAMS_OF_OLD_PAYMENTS)
        with _stripe_call("confirm_payment", deadline, payment_id):
            return read_payment(
                _client().v1.payment_intents.confirm(
                    payment_id,
                    cast(PaymentIntentConfirmParams, sent),
                    _request_options(key, api_version),
                )
            )

    def capture_payment(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        key: str,
        api_version: str,
        deadline: Deadline,
    ) -> ProviderPayment:
        amount = to_stripe(amount_minor, currency)
        with _stripe_call("capture_payment", deadline, payment_id):
            return read_payment(
                _client().v1.payment_intents.capture(
                    payment_id, {"amount_to_capture": amount}, _request_options(key, api_version)
                )
            )

    def cancel_payment(
        self, payment_id: str, *, key: str, api_version: str, deadline: Deadline
    ) -> ProviderPayment:
        with _stripe_call("cancel_payment", deadline, payment_id):
            return read_payment(
                _client().v1.payment_intents.cancel(
                    payment_id, None, _request_options(key, api_version)
                )
            )

    def retrieve_payment(self, payment_id: str, *, deadline: Deadline) -> ProviderPayment:
        return _retrieve_payment(payment_id, deadline)

    def list_payments(
        self, *, created_from: datetime, deadline: Deadline
    ) -> Iterator[ProviderPayment]:
        """Yield payments as the protocol says. A page is fetched when it is read."""
        list_page = _client().v1.payment_intents.list
        window = {"gte": int(created_from.timestamp())}
        return _pages("list_payments", deadline, list_page, read_payment, created=window)

    def create_refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        metadata: Mapping[str, str],
        key: str,
        api_version: str,
        deadline: Deadline,
    ) -> ProviderRefund:
        amount = to_stripe(amount_minor, currency)
        with _stripe_call("create_refund", deadline, payment_id):
            return read_refund(
                _client().v1.refunds.create(
                    {
                        "payment_intent": payment_id,
                        "amount": amount,
                        "metadata": dict(metadata),
                    },
                    _request_options(key, api_version),
                )
            )

    def list_refunds(self, payment_id: str, *, deadline: Deadline) -> list[ProviderRefund]:
        list_page = _client().v1.refunds.list
        return list(
            _pages("list_refunds", deadline, list_page, read_refund, payment_intent=payment_id)
        )

    def list_refunds_since(
        self, created_from: datetime, *, deadline: Deadline
    ) -> Iterator[ProviderRefund]:
        """Yield refunds as the protocol says. A page is fetched when it is read."""
        list_page = _client().v1.refunds.list
        window = {"gte": int(created_from.timestamp())}
        return _pages("list_refunds_since", deadline, list_page, read_refund, created=window)


@contextmanager
def _stripe_call(operation: str, deadline: Deadline, payment_id: str = "") -> Iterator[None]:
    """Make one call to Stripe, and raise its errors as errors of ``payments.errors``."""
    with (
        outbound_errors_translated(),
        _service.call(operation, deadline) as call,
        _translate_errors(call, payment_id),
    ):
        yield


@contextmanager
def _translate_errors(call: Call, payment_id: str) -> Iterator[None]:
    try:
        yield
    except stripe.StripeError as error:
        if payment_id and meaning_of_error(error) is Meaning.WRONG_STATUS:
            payment = payment_of_error(error) or _retrieve_payment(payment_id, call.deadline)
            raise WrongStatus(payment) from None
        # Not chained: the library's text may repeat the whole answer, client secret included.
        raise translated_error(error, call) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if call.response is None:
            raise
        # The answer has an unknown form. For example, a proxy sent it.
        raise outcome_unknown("unreadable answer", call) from error


def _request_options(key: str, api_version: str) -> stripe.RequestOptions:
    if not key or not api_version:
        # The library would invent a key, and a different one at the next attempt.
        raise ValueError("a call that changes something needs its stored key and API version")
    return {"idempotency_key": key, "stripe_version": api_version}


def _retrieve_payment(payment_id: str, deadline: Deadline) -> ProviderPayment:
    with _stripe_call("retrieve_payment", deadline):
        return read_payment(_client().v1.payment_intents.retrieve(payment_id))


Found = TypeVar("Found", bound=stripe.StripeObject)
Read = TypeVar("Read", ProviderPayment, ProviderRefund)


def _pages(
    operation: str,
    deadline: Deadline,
    list_page: Callable[[Any], stripe.ListObject[Found]],
    read: Callable[[Found], Read],
    **filters: Any,
) -> Iterator[Read]:
    params = {"limit": PAGE, **filters}
    while True:
        with _stripe_call(operation, deadline):
            page = list_page(params)
            rows = [read(found) for found in page.data]
            more = page.has_more
        yield from rows
        if not more:
            return
        params["starting_after"] = rows[-1].id


_service: Final = OutsideService(
    "stripe",
    ca_file=stripe.ca_bundle_path,
    rate=lambda: CallRate(
        per_second=stripe_settings.STRIPE_CALLS_PER_SECOND,
        fallback_per_second=stripe_settings.STRIPE_FALLBACK_CALLS_PER_SECOND,
        account=stripe_settings.STRIPE_API_KEY,
    ),
    outcomes=OUTCOMES,
)


class _Transport(stripe.HTTPClient):
    """Makes Stripe's library send its requests through ``outbound``."""

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
    return _client_of(stripe_settings.STRIPE_API_KEY, stripe_settings.STRIPE_API_BASE)


@lru_cache(maxsize=1)
def _client_of(api_key: str, api_base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base or stripe.DEFAULT_API_BASE},
        http_client=_Transport(),
        max_network_retries=0,
    )


PROVIDER: Final[PaymentProvider] = StripeProvider()
