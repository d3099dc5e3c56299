"""``python -m sandbox.outside_service NAME``: run the service on this machine until a signal."""

import argparse
import json
import sys

from sandbox.http_service.call_log import CallLog
from sandbox.http_service.faults import FaultMenu, RuleInvalid
from sandbox.http_service.process import add_options, run, with_control
from sandbox.outside_service.api import Api
from sandbox.outside_service.control import ServiceControl
from sandbox.outside_service.rules import AnswerRules, parse
from sandbox.outside_service.services import SERVICES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.outside_service", description=__doc__)
    add_options(parser)
    parser.add_argument("name", help="of the service; services.py may have rules for it")
    parser.add_argument("--rules", default="[]", help="further rules as JSON, tried first")
    options = parser.parse_args()
    try:
        further = [parse(rule) for rule in json.loads(options.rules)]
    except (ValueError, RuleInvalid) as error:
        print(f"--rules: {error}", file=sys.stderr)
        return 2
    rules = AnswerRules([*further, *SERVICES.get(options.name, ())])
    faults, calls = FaultMenu(options.seed), CallLog()
    api = Api(rules, faults, calls)
    respond = with_control(api.respond, ServiceControl(api, faults, calls))
    run(respond, options, name=options.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
