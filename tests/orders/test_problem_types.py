"""The problem types: each is used, documented, and has its page."""

import re
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from orders.api.http.problem_types import ProblemType
from tests.support.source_files import APPLICATION, ROOT, python_files

USE = re.compile(r"\bProblemType\.([A-Z_]+)")

pytestmark = pytest.mark.django_db


def test_the_documentation_agrees_with_the_table() -> None:
    output = StringIO()

    call_command("describe_problems", stdout=output)

    assert (ROOT / "docs" / "problems.md").read_text() == output.getvalue()


def test_every_problem_type_is_used() -> None:
    used = {
        name
        for source in python_files(*APPLICATION)
        for line in source.lines
        for name in USE.findall(line)
    }

    assert used == {problem_type.name for problem_type in ProblemType}


def test_slugs_and_statuses_do_not_change() -> None:
    assert {problem_type.slug: problem_type.status.value for problem_type in ProblemType} == {
        "malformed-request": 400,
        "unknown-host": 400,
        "idempotency-key-missing": 400,
        "idempotency-key-invalid": 400,
        "invalid-query": 400,
        "not-authenticated": 401,
        "permission-denied": 403,
        "scope-missing": 403,
        "form-expired": 403,
        "not-found": 404,
        "method-not-allowed": 405,
        "not-acceptable": 406,
        "request-timeout": 408,
        "idempotency-key-in-flight": 409,
        "reference-already-used": 409,
        "approval-already-decided": 409,
        "payment-in-progress": 409,
        "payment-not-awaited": 409,
        "signal-not-allowed": 409,
        "too-many-payments": 409,
        "too-many-open-orders": 409,
        "price-changed": 409,
        "transition-not-allowed": 409,
        "link-expired": 410,
        "precondition-failed": 412,
        "body-too-large": 413,
        "unsupported-media-type": 415,
        "invalid-request": 422,
        "total-below-minimum": 422,
        "idempotency-key-reused": 422,
        "too-many-requests": 429,
        "too-many-customer-streams": 429,
        "too-many-streams": 503,
        "internal-error": 500,
        "temporarily-unavailable": 503,
    }


@pytest.mark.parametrize("problem_type", ProblemType)
def test_each_problem_type_has_a_page(problem_type: ProblemType) -> None:
    response = Client().get(problem_type.uri)

    page = response.content.decode()
    assert (response.status_code, response["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f"<h1>{problem_type.title}</h1>" in page
    assert "What it means" in page
    assert "`" not in page
    assert "<script" not in page


def test_the_list_links_to_every_problem() -> None:
    page = Client().get("/problems/").content.decode()

    assert [
        problem_type.slug
        for problem_type in ProblemType
        if f'href="{problem_type.uri}"' not in page
    ] == []


def test_an_unknown_problem_type_returns_404() -> None:
    assert Client().get("/problems/no-such-thing").status_code == 404
