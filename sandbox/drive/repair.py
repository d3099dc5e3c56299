"""One order that cannot go on by itself, left for whoever wants to see the desk at work."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from sandbox.drive.provider_faults import Bank, Fault
from sandbox.drive.scenarios import skus_with_enough
from sandbox.drive.shop import Cart, Shop, ShopRefused, new_key
from sandbox.management import manage

CARD: Final = "pm_card_unionpay"  # nobody else in the drive pays with it
REFUSED_KEY: Final = Fault("refuse_key")
NOTE: Final = "the order to repair"
LOOK_EVERY_SECONDS: Final = 10


class OrderToRepair:
    """Its card meets a bank that refuses our key: no step declares that, so it is for a person.

    It is retried all the while and, after eight attempts, flagged. Switch the fault off at the bank,
    retry it at the desk, and it is confirmed.
    """

    def __init__(self, shop: Shop, bank: Bank, environment: Mapping[str, str]) -> None:
        bank.fail(CARD, REFUSED_KEY, NOTE)
        sku = skus_with_enough(shop.products())[0]
        self.id = shop.place(Cart(((sku, 1),), CARD), key=new_key()).id
        self.is_flagged = False
        self.is_repaired = False
        self._shop = shop
        self._environment = environment
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS

    def look(self) -> None:
        """Find out, now and then, whether it has been flagged, and whether it was repaired."""
        if self.is_repaired or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
        with suppress(ShopRefused):  # else web is away, and it is looked again
            self.is_repaired = self._shop.look(self.id).status != "placed"
        if not self.is_flagged and not self.is_repaired:
            shown = manage(self._environment, "sagas", "show", self.id, "--json")
            if shown.returncode == 0:  # else the database is away, and it is looked again
                runs = json.loads(shown.stdout)["runs"]
                self.is_flagged = any(each["needs_attention"] for each in runs)

    def in_words(self) -> str:
        if self.is_repaired:
            return "The order to repair goes on."
        if self.is_flagged:
            return "The order to repair is flagged, and waits for you at the desk."
        return "The order to repair is tried again and again; soon it will be flagged."
