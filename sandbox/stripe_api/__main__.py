"""``python -m sandbox.stripe_api``: serve the API on this machine until asked to stop."""

import argparse
import sys
from pathlib import Path

from sandbox.http_service.call_log import CallLog
from sandbox.http_service.faults import FaultMenu
from sandbox.http_service.process import add_options, run, with_control
from sandbox.stripe_api.api import Api
from sandbox.stripe_api.bank import Bank
from sandbox.stripe_api.control import StripeControl
from sandbox.stripe_api.control_page import ControlPage
from sandbox.stripe_api.ledger import LedgerDamaged, LedgerInUse


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.stripe_api", description=__doc__)
    add_options(parser)
    parser.add_argument("--ledger", type=Path, required=True, help="made if it is not there")
    options = parser.parse_args()
    try:
        bank = Bank(options.ledger)
    except (LedgerInUse, LedgerDamaged) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    faults, calls = FaultMenu(options.seed), CallLog()
    page = ControlPage(bank, faults, calls)
    respond = with_control(
        Api(bank, faults, calls).respond,
        StripeControl(bank, faults, calls),
        page=page.respond,
        is_page=page.serves,
    )
    try:
        run(respond, options, name="Stripe sandbox")
    finally:
        bank.ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
