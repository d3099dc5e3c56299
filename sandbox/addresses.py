"""The addresses and logins of a running system, as `make up` and `make demo` print them."""

import json
from typing import Any

from sandbox.system import System


def addresses(system: System) -> str:
    """Return every address and login, each unbroken on one line, so that it can be copied."""
    facts: dict[str, Any] = json.loads(system.directory.published.read_text())
    admin, operator, flower = facts["admin"], facts["operator"], facts["flower"]
    stripe = facts["sandbox"]["control_url"] or "not the sandbox"
    factor = "required" if facts["env"]["DESK_REQUIRES_MFA"] == "1" else "not required here"
    services = "".join(
        f"\n  {name + ' (sandbox)':<16} {service['url']}   the application's {service['setting']}; its"
        f" ledger: {service['url']}/_sandbox/ledger"
        for name, service in facts["outside_services"].items()
    )
    return f"""
  Desk             {admin["url"]}
                   {operator["username"]} / {operator["password"]}   works on orders
                   {admin["username"]} / {admin["password"]}   may do everything
                   (second factor: {factor})
  API              {facts["api_docs_url"]}
  Flower           {flower["url"]}   {flower["username"]} / {flower["password"]}
  Metrics          {facts["metrics"]["url"]}
  Stripe (sandbox) {stripe}   its payments, and faults to switch on{services}
  For programs     var/up.json

  For the README's examples:
  BASE={facts["base_url"]}
  TOKEN={facts["customer_token"]}
  SHOP_TOKEN={facts["shop_token"]}"""


def desk_url(system: System, order_id: str) -> str:
    """Return the address of an order's page at the desk."""
    return f"{system.desk_url}/admin/orders/order/{order_id}/"
