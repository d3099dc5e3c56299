"""/_sandbox: the shared controls, with the ledger and the clock of the Stripe sandbox."""

from sandbox.http_service.call_log import CallLog
from sandbox.http_service.control import Control, ControlRefused
from sandbox.http_service.faults import FaultMenu
from sandbox.http_service.http_server import Request, Response
from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.bank import Bank


class StripeControl(Control):
    """Control requests see only what is on disk, and what they change is on disk when they end."""

    def __init__(self, bank: Bank, faults: FaultMenu, calls: CallLog) -> None:
        super().__init__(faults, calls)
        self._bank = bank

    async def respond(self, request: Request) -> Response:
        self._bank.pass_time()
        await self._bank.ledger.durable()
        response = await super().respond(request)
        await self._bank.ledger.durable()
        return response

    def advance_clock(self, seconds: int) -> int:
        self._bank.advance_clock(seconds)
        return self._bank.clock.now()

    def ledger(self) -> JsonObject:
        account, ledger = self._bank.account, self._bank.ledger
        return {
            "now": self._bank.clock.now(),
            "payment_intents": [vars(intent) for intent in account.intents],
            "charges": [vars(charge) for charge in account.charges],
            "refunds": [vars(refund) for refund in account.refunds],
            "entries": ledger.appended,
            "syncs": ledger.syncs,
        }

    def start_over(self) -> None:
        if not self._bank.ledger.is_durable:
            raise ControlRefused("a call is on its way to the disk")
        self._bank.start_over()
