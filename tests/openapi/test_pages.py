"""Swagger UI and the document are public, and load nothing from other servers."""

import json
import re
from contextlib import closing

import pytest
import yaml
from django.test import Client

from tests.openapi.test_document import COMMITTED

pytestmark = pytest.mark.django_db  # Django closes old connections after a request


def test_the_document_is_public_as_yaml_and_json() -> None:
    expected = yaml.safe_load(COMMITTED.read_text())

    as_yaml = Client().get("/api/schema")
    as_json = Client().get("/api/schema", headers={"Accept": "application/json"})

    assert (as_yaml.status_code, as_json.status_code) == (200, 200)
    assert yaml.safe_load(as_yaml.content) == expected
    assert json.loads(as_json.content) == expected


def status_of(address: str) -> int:
    with closing(Client().get(address)) as served:  # a file stays open until it is sent
        return served.status_code


def test_swagger_ui_has_no_foreign_or_inline_scripts() -> None:
    answer = Client().get("/api/docs/")

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "<style" not in page
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == ["", "", ""]
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(loaded) == 6
    assert all(path.startswith("/") and not path.startswith("//") for path in loaded)
    assert [status_of(path) for path in loaded] == [200] * 6
