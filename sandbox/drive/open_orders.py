"""Two orders that wait for people who want to try: an authentication, and an approval by a link."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sandbox.drive.api_client import ApiClient
from sandbox.drive.approvals import Approvals
from sandbox.drive.deadlines import StopSignal
from sandbox.drive.scenarios import AUTHENTICATED_CARD, large_cart, skus_with_enough
from sandbox.drive.shop import AUTHENTICATION, REVIEW, Cart, Shop, new_key
from sandbox.management import manage
from sandbox.stripe_api.confirmation import AUTHENTICATION_PAGE
from sandbox.system import System

LINK_HOLDER: Final = "a person at the demo"


class OpenOrder(NamedTuple):
    """An order that waits, and the address of the page on which it goes on."""

    id: str
    page: str


class LinkNotCreated(Exception):
    """The command that creates the link of an approval failed."""


def order_to_authenticate(shop: Shop, stripe_url: str) -> OpenOrder | None:
    """Place an order whose customer has to authenticate, on a page of Stripe's sandbox.

    Returns None if it does not wait, because the caller's environment has other settings.
    """
    sku = skus_with_enough(shop.products())[0]
    order = shop.place(Cart(((sku, 1),), AUTHENTICATED_CARD), key=new_key())
    waiting = shop.wait_until_it_waits(order.id, AUTHENTICATION)
    if waiting.waits_for != AUTHENTICATION:
        return None
    page = f"{stripe_url}{AUTHENTICATION_PAGE}/{waiting.intent_to_authenticate}"
    return OpenOrder(order.id, page)


def order_to_approve(shop: Shop, system: System, stop_signal: StopSignal) -> OpenOrder | None:
    """Place a large order, and create the signed link of its approval. Raises LinkNotCreated.

    Returns None if it does not wait, because the caller's environment has other settings.
    """
    order = shop.place(large_cart(shop.products()), key=new_key())
    if shop.wait_until_it_waits(order.id, REVIEW).waits_for != REVIEW:
        return None
    approvals = Approvals(ApiClient(system.base_url, system.shop_token, stop_signal))
    return OpenOrder(order.id, _link(system.environment, approvals.open_one(order.id)))


def _link(environment: Mapping[str, str], approval_id: str) -> str:
    created = manage(environment, "approvals", "link", approval_id, "--for", LINK_HOLDER)
    if created.returncode != 0:
        raise LinkNotCreated(created.stderr)
    return created.stdout.strip()
