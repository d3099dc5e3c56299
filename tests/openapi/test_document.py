"""docs/openapi.yaml is current, valid and complete."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from sandbox.procfile import ROOT

COMMITTED = ROOT / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMMITTED.read_text())
    return content


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_committed_document_agrees_with_the_code(tmp_path: Path) -> None:
    generated = tmp_path / "openapi.yaml"

    call_command("spectacular", validate=True, fail_on_warn=True, file=str(generated))

    assert COMMITTED.read_text() == generated.read_text(), "run: make openapi"


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


@pytest.mark.parametrize("name", list(operations(yaml.safe_load(COMMITTED.read_text()))))
def test_every_operation_has_a_description_and_every_body_an_example(
    document: dict[str, Any], name: str
) -> None:
    operation = operations(document)[name]

    assert operation["summary"]
    assert operation["description"]
    for title, content in bodies(operation):
        assert content["examples"], title


@pytest.mark.parametrize("name", list(operations(yaml.safe_load(COMMITTED.read_text()))))
def test_every_example_matches_its_schema(document: dict[str, Any], name: str) -> None:
    for title, content in bodies(operations(document)[name]):
        schema = {**content["schema"], "components": document["components"]}
        for example in content["examples"].values():
            errors = OAS31Validator(schema).iter_errors(example["value"])
            assert [error.message for error in errors] == [], (title, example)


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each request and response body, with its status and media type."""
    for status, answer in {
        "request": operation.get("requestBody", {}),
        **operation["responses"],
    }.items():
        for media_type, content in answer.get("content", {}).items():
            yield f"{status} {media_type}", content
