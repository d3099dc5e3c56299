"""``python -m sandbox.stripe_api``: run Stripe's sandbox on this machine until a signal."""

import argparse
import sys
from pathlib import Path

from sandbox.http_service.call_log import CallLog
from sandbox.http_service.faults import FaultMenu
from sandbox.http_service.process import add_options, run, with_control
from sandbox.stripe_api.account_store import AccountStore
from sandbox.stripe_api.api import Api
from sandbox.stripe_api.authentication_page import AuthenticationPage
from sandbox.stripe_api.control import StripeControl
from sandbox.stripe_api.control_page import ControlPage
from sandbox.stripe_api.ledger import LedgerDamaged, LedgerInUse


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.stripe_api", description=__doc__)
    add_options(parser)
    parser.add_argument("--ledger", type=Path, required=True, help="created if it does not exist")
    options = parser.parse_args()
    try:
        store = AccountStore(options.ledger)
    except (LedgerInUse, LedgerDamaged) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    faults, calls = FaultMenu(options.seed), CallLog()
    respond = with_control(
        Api(store, faults, calls).respond,
        StripeControl(store, faults, calls),
        (ControlPage(store, faults, calls), AuthenticationPage(store)),
    )
    try:
        run(respond, options, name="Stripe sandbox")
    finally:
        store.ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
