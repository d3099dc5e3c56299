"""One order that cannot continue by itself, for people who want to try the desk."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from sandbox.drive.api_client import ShopRefused
from sandbox.drive.provider_faults import FaultSpec, ProviderSandbox
from sandbox.drive.scenarios import skus_with_enough
from sandbox.drive.shop import Cart, Shop, new_key
from sandbox.management import manage

CARD: Final = "pm_card_unionpay"  # no other order of the drive uses it
REFUSED_KEY: Final = FaultSpec("refuse_key")
NOTE: Final = "the order to repair"
POLL_EVERY_SECONDS: Final = 10


class OrderToRepair:
    """An order for whose card the sandbox refuses the API key. No step declares that error.

    It is retried and, after eight attempts, flagged for the staff. When the fault is switched off on
    the sandbox's page and the order is retried at the desk, it is confirmed.
    """

    def __init__(self, shop: Shop, stripe: ProviderSandbox, environment: Mapping[str, str]) -> None:
        stripe.add_fault(CARD, REFUSED_KEY, NOTE)
        sku = skus_with_enough(shop.products())[0]
        self.id = shop.place(Cart(((sku, 1),), CARD), key=new_key()).id
        self.is_flagged = False
        self.is_repaired = False
        self._shop = shop
        self._environment = environment
        self._poll_at = time.monotonic() + POLL_EVERY_SECONDS

    def poll(self) -> None:
        """Update ``is_flagged`` and ``is_repaired``, at most every POLL_EVERY_SECONDS."""
        if self.is_repaired or time.monotonic() < self._poll_at:
            return
        self._poll_at = time.monotonic() + POLL_EVERY_SECONDS
        with suppress(ShopRefused):  # web is down: the next poll tries again
            self.is_repaired = self._shop.get_order(self.id).status != "placed"
        if not self.is_flagged and not self.is_repaired:
            shown = manage(self._environment, "sagas", "show", self.id, "--json")
            if shown.returncode == 0:  # else the database is down: the next poll tries again
                runs = json.loads(shown.stdout)["runs"]
                self.is_flagged = any(run["needs_attention"] for run in runs)

    def in_words(self) -> str:
        if self.is_repaired:
            return "The order to repair continues."
        if self.is_flagged:
            return "The order to repair is flagged, and waits for you at the desk."
        return "The order to repair is being retried; it will be flagged soon."
