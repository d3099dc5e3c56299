"""Prints docs/problems.md, generated from the table of problem types."""

from typing import Any

from django.core.management.base import BaseCommand

from orders.api.http.problem_types import ProblemType

HEAD = """# Problems: the errors of the API

For developers of a storefront: all errors of the API, and what to do about each. They are
[RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problems (`application/problem+json`):

```json
{"type": "/problems/invalid-request", "title": "Invalid request", "status": 422,
 "detail": "The body is not valid for this endpoint.",
 "errors": [{"pointer": "/items/0/quantity", "detail": "Input should be greater than or equal to 1"}],
 "correlation_id": "019aa3c0-5d2e-7c4a-9a53-7f0c7a1e6b11"}
```

* `type` is stable and meant for programs. It is also the path of a page with the same text as here.
* `errors` names what is wrong: a place in the body (`pointer`, RFC 6901), a query parameter (`parameter`) or a header
  (`header`). It has at most 50 entries.
* `correlation_id` is in the shop's logs, and in the header `X-Correlation-ID` of every response.
* A request with a 4xx response has changed nothing, and has not used up its `Idempotency-Key`.
* A browser that opens a page outside `/api/` gets the error as a page.
* A declined card and missing stock are not errors of the request. The order is accepted, then cancelled with a
  `reason`.

This page is generated: `manage.py describe_problems > docs/problems.md`.

| type | status | meaning | what to do |
|---|---|---|---|
"""


class Command(BaseCommand):
    help = "Print docs/problems.md from the problem types of the API. Changes nothing."
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write(HEAD + "".join(map(_row, ProblemType)), ending="")


def _row(problem_type: ProblemType) -> str:
    status, meaning, remedy = (
        problem_type.status.value,
        problem_type.meaning,
        problem_type.remedy,
    )
    return f"| `{problem_type.uri}` | {status} | {meaning} | {remedy} |\n"
