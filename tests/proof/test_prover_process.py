"""Application code in a prover leaves nothing there that its forks would inherit."""

import sys
from types import ModuleType

import pytest
from django.db import DataError, connection

from bulk_sql.statements import _fields
from orders.steps import authorize_payment
from payments.providers.stripe.provider import _client
from proof.processes import _newest_modules
from proof.prover_process import application_in_prover
from sagas.models import SagaRun
from sagas.queries.definitions import _works, find_work

pytestmark = pytest.mark.django_db(transaction=True)


def test_connections_are_closed_also_after_an_error() -> None:
    with pytest.raises(DataError), application_in_prover():
        connection.cursor().execute("SELECT 1 / 0")

    assert connection.connection is None


def test_what_a_bug_may_change_is_computed_again() -> None:
    with application_in_prover():
        find_work(authorize_payment.name)
        client = _client()
        _fields(SagaRun)

    assert _works.cache_info().currsize == 0
    assert _client() is not client
    assert _fields.cache_info().currsize > 0


def test_the_modules_that_were_loaded_last_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("loaded_first", "loaded_next"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))

    assert _newest_modules(0) == []
    assert _newest_modules(2) == ["loaded_first", "loaded_next"]
