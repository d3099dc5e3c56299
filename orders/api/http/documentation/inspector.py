"""How an operation is described: by its entry in the table, and by what can be derived."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.drainage import error
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, OpenApiResponse

from orders.api.http.documentation import headers, pydantic_schemas  # noqa: F401 - pydantic_schemas is found by being imported
from orders.api.http.documentation.operation import Header, Operation
from orders.api.http.documentation.operations import OPERATIONS
from orders.api.http.documentation.problem_responses import (
    Problem,
    is_by_link,
    problem_answers,
    problems_of,
)

JSON: Final = "application/json"

_OF_PROBLEMS: Final[Mapping[HTTPStatus, tuple[Header, ...]]] = {
    HTTPStatus.UNAUTHORIZED: (headers.CHALLENGE,),
    HTTPStatus.CONFLICT: (headers.RETRY_AFTER, headers.LOCATION),
    HTTPStatus.TOO_MANY_REQUESTS: (
        headers.RETRY_AFTER,
        headers.RATE_LIMIT,
        headers.RATE_LIMIT_POLICY,
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (headers.RETRY_AFTER,),
}


class StorefrontInspector(AutoSchema):
    """Derives parameters, problems, headers and scopes, and adds the prose."""

    @property
    def operation(self) -> Operation:
        return OPERATIONS[f"{self.method} {self.path}"]

    def is_excluded(self) -> bool:
        is_known = f"{self.method} {self.path}" in OPERATIONS
        if not is_known:
            error(f"nothing is said about {self.method} {self.path}")
        return not is_known

    def get_operation_id(self) -> str:
        return self.operation.name

    def get_summary(self) -> str:
        return self.operation.summary

    def get_description(self) -> str:  # type: ignore[override]  # as AutoSchema has it
        return self.operation.description

    def get_tags(self) -> list[str]:
        return [self.operation.topic]

    def get_request_serializer(self) -> Any:
        if self.operation.body is None:
            return {}
        examples = _examples(self.operation.examples)
        return {JSON: OpenApiRequest(self.operation.body, examples=examples)}

    def get_response_serializers(self) -> Any:
        shared: Any = Problem
        self.resolve_serializer(shared, "response")  # what the answers below refer to
        answers = {
            (str(each.status.value), each.media_type): OpenApiResponse(
                each.body, each.description, _examples(each.examples)
            )
            for each in self.operation.answers
        }
        return answers | problem_answers(problems_of(self.operation, self.path))

    def get_override_parameters(self) -> list[Any]:
        return [*self.operation.parameters, *self._answered_headers()]

    def _answered_headers(self) -> Iterator[OpenApiParameter]:
        """Every header with the statuses that may have it; the correlation id is on all."""
        statuses: dict[Header, list[int]] = defaultdict(list)
        for answer in self.operation.answers:
            for each in answer.headers:
                statuses[each].append(answer.status.value)
        for status, known in _OF_PROBLEMS.items():
            for each in known:
                statuses[each].append(status.value)
        yield _answered(headers.CORRELATION_ID, in_statuses=True)
        for header, where in statuses.items():
            yield _answered(header, in_statuses=where)


def _answered(header: Header, *, in_statuses: bool | list[int]) -> OpenApiParameter:
    return OpenApiParameter(
        header.name,
        {"type": header.form},
        OpenApiParameter.HEADER,
        description=header.description,
        response=in_statuses,
    )


def _examples(values: Mapping[str, Any]) -> list[OpenApiExample]:
    return [OpenApiExample(title, value) for title, value in values.items()]


class BearerToken(OpenApiAuthenticationExtension):
    """Knox's tokens, as our views ask for them: each with a scope."""

    target_class = "access.authentication.BearerAuthentication"
    name = "token"

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[str]]]:
        if is_by_link(auto_schema.path):
            return []
        view: Any = auto_schema.view
        if not OPERATIONS[f"{auto_schema.method} {auto_schema.path}"].needs_scope:
            return [{self.name: []}]
        return [{self.name: [view.scopes[auto_schema.method].value]}]

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of a customer's, or of the shop's own server. It has scopes: "
            "`orders:read`, `orders:write`, and `shop` for every customer's orders.",
        }
