"""The shop's approvals through its API, as the shop's own server decides them."""

from typing import Final

from sandbox.drive.api_client import ApiClient
from sandbox.drive.shop import new_key

APPROVE: Final = "approve"
REJECT: Final = "reject"


class Approvals:
    """The approvals of one shop, with a token of the shop. Safe to use from many threads."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def open_one(self, order_id: str) -> str:
        """Return the id of the open approval that an order waits for."""
        listed = self._api.request("GET", f"approvals?status=open&order_id={order_id}")
        (approval,) = listed["results"]
        return str(approval["id"])

    def decide(self, order_id: str, decision: str) -> None:
        """Approve or reject an order that waits for its review."""
        path = f"approvals/{self.open_one(order_id)}/{decision}"
        self._api.request("POST", path, key=new_key(), body={"comment": "decided by the demo"})
