"""Reading the provider's books while something happens there."""

from collections.abc import Callable

from django.db import connection

from payments.provider_reconciliation import ProviderReading
from sandbox.stripe_process import SandboxServer
from tests.support.threads import in_thread
from tests.support.waits import wait_until


def read_while(
    meanwhile: Callable[[], object],
    sandbox_stripe: SandboxServer,
    before: str,
    read: Callable[[], ProviderReading],
) -> ProviderReading:
    """Have ``meanwhile`` happen after the reading has begun, and before its call of one operation."""

    def read_and_disconnect() -> ProviderReading:
        try:
            return read()
        finally:
            connection.close()

    rule = sandbox_stripe.add_fault(before, "hold", times=1)
    try:
        reading = in_thread(read_and_disconnect)
        wait_until(lambda: sandbox_stripe.held(rule) == 1)
        meanwhile()
    finally:
        sandbox_stripe.clear_faults()
    return reading.result()
