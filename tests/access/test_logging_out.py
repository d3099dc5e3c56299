"""DELETE token: revokes the token of the request, permanently and with a record."""

import pytest
from django.contrib.auth.models import User

from access.credentials import Scope
from access.links import new_link
from access.models import ApiToken
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

TOKEN = "/api/v1/token"
MUG = cart(("MUG", 1))


def log_out(storefront: Storefront) -> ApiResponse:
    return storefront.send("DELETE", TOKEN)


def revoked() -> list[ApiToken]:
    return list(ApiToken.objects.exclude(revoked_at=None))


def test_the_token_is_invalid_afterwards(storefront: Storefront) -> None:
    answer = log_out(storefront)

    assert (answer.status, answer.body) == (204, None)
    assert storefront.get(ORDERS).is_problem(401, "not-authenticated")
    assert storefront.order(MUG).is_problem(401, "not-authenticated")


def test_actor_and_reason_are_stored(storefront: Storefront) -> None:
    log_out(storefront)

    [token] = revoked()
    assert (token.revoked_by, token.revoked_reason) == ("alice", "logged out")


def test_other_tokens_stay_valid(storefront: Storefront, stranger: Storefront) -> None:
    on_the_phone = Storefront(storefront.customer)

    log_out(storefront)

    assert (on_the_phone.get(ORDERS).status, stranger.get(ORDERS).status) == (200, 200)
    assert len(revoked()) == 1


def test_a_repeated_request_is_refused_and_changes_nothing(storefront: Storefront) -> None:
    log_out(storefront)
    before = ApiToken.objects.values_list().get()

    again = log_out(storefront)

    assert again.is_problem(401, "not-authenticated")
    assert ApiToken.objects.values_list().get() == before


@pytest.mark.parametrize("scope", Scope)
def test_any_scope_is_enough(customer: User, scope: Scope) -> None:
    answer = log_out(Storefront(customer, scopes=[scope]))

    assert answer.status == 204


def test_no_scope_is_needed(customer: User) -> None:
    assert log_out(Storefront(customer, scopes=[])).status == 204


def test_a_link_cannot_revoke_tokens(storefront: Storefront) -> None:
    order_id = storefront.order(MUG).order_id
    link = new_link(order_id, storefront.customer, days=1, may_cancel=True).token()

    as_token = storefront.send("DELETE", TOKEN, headers={"Authorization": f"Bearer {link}"})

    assert as_token.is_problem(401, "not-authenticated")
    assert revoked() == []
