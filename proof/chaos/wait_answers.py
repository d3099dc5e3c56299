"""What ends the waits of a run's orders: the customer's bank, the shop, or the deadline.

The customer's own answers, another payment and a cancellation, are in ``customers``.
"""

from http import HTTPStatus
from typing import Any, Final, NamedTuple

import psycopg
import urllib3

from proof.chaos.plan import ShopDecision

AUTHENTICATION: Final = "authentication_required"
ANOTHER_PAYMENT: Final = "another_payment_needed"
REVIEW: Final = "await_review"
"""What an order waits for: the code of its ``waiting_for``."""

COMPLETE: Final = "complete"
FAIL: Final = "fail"
"""How an authentication ends at the bank."""

SECONDS: Final = 10

_BRING_DEADLINE: Final = """
WITH run AS (
    UPDATE sagas_sagarun
    SET waiting_until = clock_now(), not_before = NULL, wake_at = clock_now()
    WHERE subject_id = %(order)s AND waits_for = %(code)s AND status = 'running'
    AND leased_until IS NULL
    RETURNING subject_id
), approval AS (
    UPDATE approvals_approval SET deadline = clock_now()
    WHERE subject_id IN (SELECT subject_id FROM run) AND status = 'open'
)
SELECT count(*) FROM run
"""


class WaitControls(NamedTuple):
    """Where the waits are ended. The database is reached without the fault proxy."""

    stripe_controls: str
    api: str
    shop_token: str
    database_url: str


class WaitAnswers:
    """Ends waits. For many threads.

    Each method returns whether it is known to have succeeded; otherwise call it again.
    """

    def __init__(self, controls: WaitControls, http: urllib3.PoolManager) -> None:
        self._controls = controls
        self._http = http

    def authenticate(self, intent_id: str, result: str) -> bool:
        """End an authentication, as its customer does on the page of their bank."""
        url = f"{self._controls.stripe_controls}/authentications/{intent_id}"
        return self._request("POST", url, {"result": result}) is not None

    def decide(self, order_id: str, decision: ShopDecision) -> bool:
        """Approve or reject the open approval of an order, as the shop's server does."""
        approvals = f"{self._controls.api}/approvals"
        headers = {"Authorization": f"Bearer {self._controls.shop_token}"}
        listed = self._request(
            "GET", f"{approvals}?status=open&order_id={order_id}", headers=headers
        )
        if not listed or not listed["results"]:
            return False
        (approval,) = listed["results"]
        url = f"{approvals}/{approval['id']}/{decision}"
        headers["Idempotency-Key"] = f"decision-{approval['id']}"
        return self._request("POST", url, {}, headers=headers) is not None

    def pass_deadline(self, order_id: str, code: str) -> bool:
        """Bring the deadline of what an order waits for to the present: a run lasts minutes only."""
        try:
            with psycopg.connect(
                self._controls.database_url, connect_timeout=SECONDS
            ) as connection:
                row = connection.execute(
                    _BRING_DEADLINE, {"order": order_id, "code": code}
                ).fetchone()
        except psycopg.Error:  # PostgreSQL may be down
            return False
        return row == (1,)

    def _request(
        self, method: str, url: str, body: object = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any] | None:
        """Return the content of an accepted response; None for any other end."""
        try:
            response = self._http.request(
                method, url, json=body, headers=headers, timeout=SECONDS, retries=False
            )
            if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                return None
            content: dict[str, Any] = response.json()
        except (urllib3.exceptions.HTTPError, ValueError):
            return None
        return content
