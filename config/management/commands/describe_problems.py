"""Write the page of all problems from the table by which the API answers."""

from typing import Any

from django.core.management.base import BaseCommand

from orders.api.http.problem_types import ProblemType

HEAD = """# Problems: the errors of the API

Every error is an [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem (`application/problem+json`):

```json
{"type": "/problems/invalid-request", "title": "Invalid request", "status": 422,
 "detail": "The body is not what this endpoint takes.",
 "errors": [{"pointer": "/items/0/quantity", "detail": "Input should be greater than or equal to 1"}],
 "correlation_id": "019aa3c0-5d2e-7c4a-9a53-7f0c7a1e6b11"}
```

`type` is stable and meant for programs; it leads to a page of the shop that says the same as this one. `errors`, where
something is wrong, point into the body (`pointer`, RFC 6901), or name a query parameter (`parameter`) or a header
(`header`); there are at most 50. `correlation_id` is in our logs, and in the header `X-Correlation-ID` of every answer.
A request that is answered with a 4xx has changed nothing, and has not used up its `Idempotency-Key`.

A browser that asks for a page outside `/api/` gets these as a page. A card that is refused or a shelf that is empty is
no error of the request: the order is accepted, and then cancelled with its `reason`.

This page is made of the code that answers: `manage.py describe_problems > docs/problems.md`.

| type | status | what it means | what to do |
|---|---|---|---|
"""


class Command(BaseCommand):
    help = "Print docs/problems.md, made of the problems that the API knows. Changes nothing."
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write(HEAD + "".join(map(_row, ProblemType)), ending="")


def _row(kind: ProblemType) -> str:
    return f"| `{kind.uri}` | {kind.status.value} | {kind.meaning} | {kind.remedy} |\n"
