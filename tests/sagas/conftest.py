"""What the engine's tests share: toys that are put away afterwards."""

from collections.abc import Iterator

import pytest

from tests.sagas.toys import Toys


@pytest.fixture
def toys() -> Iterator[Toys]:
    toys = Toys()
    yield toys
    toys.forget()
