"""The commands that make tokens."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from access.grants import Scope
from access.models import ApiToken


@pytest.mark.django_db
def test_a_shop_token_may_act_for_every_customer_and_a_customers_may_not() -> None:
    printed = {}
    for command, username in (("create_shop_token", "server"), ("create_customer", "ada")):
        out = StringIO()
        call_command(command, username=username, stdout=out)
        printed[username] = json.loads(out.getvalue())

    stored = {token.user.username: token for token in ApiToken.objects.all()}
    assert printed["server"].keys() == {"username", "token"}
    assert set(stored["server"].scopes) == set(Scope)
    assert set(stored["ada"].scopes) == {Scope.READ, Scope.WRITE}
    assert stored["server"].expiry is not None
