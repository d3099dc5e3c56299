"""The controls of the Stripe sandbox under /_sandbox: also its ledger, clock, authentications, refunds."""

from collections.abc import Mapping
from http import HTTPStatus

from sandbox.http_service.call_log import CallLog
from sandbox.http_service.control import Control, ControlRejected, ObjectAction, json_body
from sandbox.http_service.faults import FaultMenu
from sandbox.http_service.http_server import Request, Response
from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.account_store import AccountStore
from sandbox.stripe_api.authentications import (
    AuthenticationResult,
    NoSuchIntent,
    NotWaiting,
    finish_authentication,
)
from sandbox.stripe_api.records import RefundStatus
from sandbox.stripe_api.settlement import RefundResult, settled


class StripeControl(Control):
    """Every control request reads and returns only durable data, and its changes are durable, too."""

    def __init__(self, store: AccountStore, faults: FaultMenu, calls: CallLog) -> None:
        super().__init__(faults, calls)
        self._store = store

    def object_actions(self) -> Mapping[tuple[str, str], ObjectAction]:
        return {
            ("POST", "authentications"): self._authenticate,
            ("POST", "refunds"): self._settle_refund,
        }

    async def respond(self, request: Request) -> Response:
        self._store.process_due_changes()
        await self._store.ledger.durable()
        response = await super().respond(request)
        await self._store.ledger.durable()
        return response

    def advance_clock(self, seconds: int) -> int:
        self._store.advance_clock(seconds)
        return self._store.clock.now()

    def ledger(self) -> JsonObject:
        account, ledger = self._store.account, self._store.ledger
        return {
            "now": self._store.clock.now(),
            "payment_intents": [vars(intent) for intent in account.intents],
            "charges": [vars(charge) for charge in account.charges],
            "refunds": [vars(refund) for refund in account.refunds],
            "entries": ledger.appended,
            "syncs": ledger.syncs,
        }

    def start_over(self) -> None:
        if not self._store.ledger.is_durable:
            raise ControlRejected("a call is being written to disk")
        self._store.start_over()

    def _authenticate(self, intent_id: str, request: Request) -> JsonObject:
        """End a customer's authentication, as the page with the two buttons does."""
        try:
            result = AuthenticationResult(str(json_body(request).get("result")))
        except ValueError:
            raise ControlRejected("result is not complete or fail") from None
        try:
            intent = finish_authentication(self._store, intent_id, result)
        except NoSuchIntent as error:
            raise ControlRejected(str(error), status=HTTPStatus.NOT_FOUND) from None
        except NotWaiting as error:
            raise ControlRejected(str(error), status=HTTPStatus.CONFLICT) from None
        return {"payment_intent": intent.id, "status": intent.status}

    def _settle_refund(self, refund_id: str, request: Request) -> JsonObject:
        """End a pending refund, as the customer's bank does, or keep it pending."""
        try:
            result = RefundResult(str(json_body(request).get("result")))
        except ValueError:
            raise ControlRejected("result is not succeed, fail or wait") from None
        refund = self._store.account.refunds.get(refund_id)
        if refund is None:
            no_such = f"no such Refund: {refund_id}"
            raise ControlRejected(no_such, status=HTTPStatus.NOT_FOUND)
        if refund.status != RefundStatus.PENDING:
            is_final = f"{refund_id} is {refund.status}"
            raise ControlRejected(is_final, status=HTTPStatus.CONFLICT)
        changes = settled(self._store.account, refund, result)
        self._store.record(changes, now=self._store.clock.now())
        return {"refund": refund_id, "status": self._store.account.refunds[refund_id].status}
