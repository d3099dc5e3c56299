"""Read a provider's payments while something happens at the provider."""

from collections.abc import Callable

from payments.provider_reconciliation import ProviderReading
from sandbox.stripe_process import SandboxServer
from tests.support.threads import start_thread
from tests.support.waits import wait_until


def read_while(
    meanwhile: Callable[[], object],
    sandbox_stripe: SandboxServer,
    before: str,
    read: Callable[[], ProviderReading],
) -> ProviderReading:
    """Call ``meanwhile`` when the reading reaches its call of the operation ``before``.

    Returns what ``read`` returns, which continues afterwards.
    """
    rule = sandbox_stripe.add_fault(before, "hold", times=1)
    try:
        reading = start_thread(read)
        wait_until(lambda: sandbox_stripe.held(rule) == 1)
        meanwhile()
    finally:
        sandbox_stripe.clear_faults()
    return reading.result()
