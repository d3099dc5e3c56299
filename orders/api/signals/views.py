"""Sending a signal to the run of an order."""

import json
from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.core.exceptions import NON_FIELD_ERRORS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.errors import ScopeMissing
from access.permissions import Scopes
from access.rates import Rate
from access.throttling import Rates
from orders.api.http.auth_context import actor_name, grant_of, order_path, own_order
from orders.api.http.documentation.headers import LOCATION
from orders.api.http.documentation.operation import Operation, SuccessResponse, documented
from orders.api.http.idempotency import (
    Executed,
    IdempotentRequest,
    SavedResponse,
    run_idempotent,
    save_response,
)
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem
from orders.api.http.request_schemas import invalid_request, parse_body, pointer
from orders.api.orders.documentation import TAG
from orders.api.signals.schemas import (
    EXAMPLE_ACCEPTED,
    EXAMPLE_PAYLOAD,
    AcceptedSignal,
    SignalPayload,
)
from sagas.errors import InvalidSignal, SignalConflict, SignalRefused
from sagas.signals import allowed_signals, declared_signals, send_signal

_SEND_SIGNAL: Final = Operation(
    "send_signal",
    TAG,
    "Send a signal to an order",
    "Tells the order's checkout something that it waits for, or will wait for. The shop's code declares "
    "which signals there are, and which fields each has. Unless a signal is declared for customers, the "
    "token needs the scope `shop`.",
    (
        SuccessResponse(
            HTTPStatus.ACCEPTED,
            "The signal is recorded. Read or follow the order.",
            AcceptedSignal,
            {"Recorded": EXAMPLE_ACCEPTED},
            headers=(LOCATION,),
        ),
    ),
    body=SignalPayload,
    body_examples={"With two fields": EXAMPLE_PAYLOAD, "No fields": {}},
    problems=(ProblemType.SIGNAL_NOT_ALLOWED,),
    is_idempotent=True,
)


class SignalView(APIView):
    scopes: Scopes = {"POST": Scope.WRITE}
    rates: Rates = {"POST": Rate.CHANGES}

    @documented(_SEND_SIGNAL)
    def post(self, request: Request, order_id: UUID, name: str) -> Response:
        """Send a signal: 202 when it is recorded. A repetition with the same key records nothing."""
        body = parse_body(SignalPayload, request)
        idempotent_request = IdempotentRequest.of(request, body)
        order = own_order(request, order_id)
        signal = _SignalRequest(request, idempotent_request, order.pk, name)
        outcome = run_idempotent(idempotent_request, order.pk, partial(signal.send, body))
        headers = {"Location": order_path(request, order.pk)}
        if isinstance(outcome, Executed):
            saved = outcome.result
        else:
            assert outcome.response is not None  # noqa: S101 - it was saved together with the key
            saved = outcome.response
            headers["Idempotency-Replayed"] = "true"
        return Response(json.loads(saved.body), status=saved.status, headers=headers)


class _SignalRequest:
    """One request to send a signal, and the problems that refuse it."""

    def __init__(
        self, request: Request, idempotent_request: IdempotentRequest, order_id: UUID, name: str
    ) -> None:
        self._request = request
        self._idempotent_request = idempotent_request
        self._order_id = order_id
        self._name = name

    def send(self, body: SignalPayload) -> SavedResponse:
        """Record the signal, and save the response in the same transaction. Raises a Problem."""
        self._check_scope()
        key, payload = self._idempotent_request.key, body.model_dump()
        try:
            receipt = send_signal(
                self._order_id, self._name, payload, key=key, actor=actor_name(self._request)
            )
        except SignalRefused:
            raise self._not_allowed() from None
        except InvalidSignal as error:
            raise _invalid_payload(error) from None
        except SignalConflict:
            raise Problem(
                ProblemType.IDEMPOTENCY_KEY_REUSED,
                "This Idempotency-Key was used for the same signal with another body.",
                [FieldError("Idempotency-Key", "was used for another request", "header")],
            ) from None
        content = AcceptedSignal(id=str(receipt.id), order_id=str(self._order_id), name=self._name)
        text = json.dumps(content.as_json(), ensure_ascii=False)
        return save_response(self._idempotent_request, SavedResponse(HTTPStatus.ACCEPTED, text))

    def _check_scope(self) -> None:
        """Raise unless the caller may send this signal. Customers do not learn the shop's signals."""
        if grant_of(self._request).is_shop:
            return
        declared = declared_signals(self._order_id)
        if not any(signal.by_customer for signal in declared if signal.name == self._name):
            raise ScopeMissing(Scope.SHOP)

    def _not_allowed(self) -> Problem:
        is_shop = grant_of(self._request).is_shop
        allowed = [
            signal.name
            for signal in allowed_signals(self._order_id)
            if is_shop or signal.by_customer
        ]
        return Problem(
            ProblemType.SIGNAL_NOT_ALLOWED,
            f"The order does not take the signal {self._name} now.",
            extensions={"allowed_signals": allowed},
        )


def _invalid_payload(error: InvalidSignal) -> Problem:
    errors = [
        FieldError("" if name == NON_FIELD_ERRORS else pointer((name,)), sentence)
        for name, sentences in sorted(error.problems.items())
        for sentence in sentences
    ]
    return invalid_request("The body does not fit this signal.", errors)
