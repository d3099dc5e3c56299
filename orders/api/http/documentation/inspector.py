"""Describes each operation for drf-spectacular: what its view says, and what can be derived."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.drainage import error
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, OpenApiResponse

from orders.api.http.documentation import (
    headers,
    pydantic_schemas,  # noqa: F401 - importing it registers the extension
)
from orders.api.http.documentation.operation import (
    Operation,
    ResponseHeader,
    SuccessResponse,
    operation_of,
)
from orders.api.http.documentation.problem_responses import (
    Problem,
    is_guest_path,
    problem_responses,
    problems_of,
)
from orders.api.http.documentation.query_parameters import query_parameters

JSON: Final = "application/json"

_PROBLEM_HEADERS: Final[Mapping[HTTPStatus, tuple[ResponseHeader, ...]]] = {
    HTTPStatus.UNAUTHORIZED: (headers.CHALLENGE,),
    HTTPStatus.CONFLICT: (headers.RETRY_AFTER, headers.LOCATION),
    HTTPStatus.TOO_MANY_REQUESTS: (
        headers.RETRY_AFTER,
        headers.RATE_LIMIT,
        headers.RATE_LIMIT_POLICY,
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (headers.RETRY_AFTER,),
}
_NOT_MODIFIED: Final = SuccessResponse(
    HTTPStatus.NOT_MODIFIED, "Nothing has changed since the response with this ETag."
)


class StorefrontInspector(AutoSchema):
    """Derives parameters, problems, headers and scopes from a view and its operations."""

    @property
    def operation(self) -> Operation:
        """The operation of this method; at a guest link's path, its variant for guests."""
        found = operation_of(self.view, self.method)
        if found is None:
            raise LookupError(f"{self.method} {self.path} is not documented")
        return _for_guests(found) if is_guest_path(self.path) else found

    @property
    def scope(self) -> str | None:
        """The scope that the view demands for this method."""
        scopes = getattr(self.view, "scopes", {})
        return scopes[self.method].value if self.method in scopes else None

    def is_excluded(self) -> bool:
        is_documented = operation_of(self.view, self.method) is not None
        if not is_documented:
            error(f"{self.method} {self.path} is not documented")
        return not is_documented

    def get_operation_id(self) -> str:
        return self.operation.id

    def get_summary(self) -> str:
        return self.operation.summary

    def get_description(self) -> str:  # type: ignore[override]  # as AutoSchema has it
        return self.operation.description

    def get_tags(self) -> list[str]:
        return [self.operation.tag]

    def get_request_serializer(self) -> Any:
        if self.operation.body is None:
            return {}
        examples = _examples(self.operation.body_examples)
        return {JSON: OpenApiRequest(self.operation.body, examples=examples)}

    def get_response_serializers(self) -> Any:
        problem: Any = Problem
        self.resolve_serializer(problem, "response")  # registers what the responses refer to
        successes = {
            (str(response.status.value), response.media_type): OpenApiResponse(
                response.body, response.description, _examples(response.examples)
            )
            for response in self._successes()
        }
        problems = problems_of(self.operation, self.path, needs_scope=self.scope is not None)
        return successes | problem_responses(problems)

    def get_override_parameters(self) -> list[Any]:
        return [*self._request_parameters(), *self._response_headers()]

    def _successes(self) -> Iterator[SuccessResponse]:
        yield from self.operation.responses
        if self.operation.is_conditional:
            yield _NOT_MODIFIED

    def _request_parameters(self) -> Iterator[OpenApiParameter]:
        operation = self.operation
        if operation.query is not None:
            yield from query_parameters(operation.query)
        if operation.is_conditional:
            yield headers.IF_NONE_MATCH
        if operation.is_idempotent:
            yield headers.IDEMPOTENCY_KEY
        if operation.can_wait:
            yield headers.PREFER
        yield from operation.headers

    def _response_headers(self) -> Iterator[OpenApiParameter]:
        """Return each header with the statuses that may have it."""
        yield _response_header(headers.CORRELATION_ID, in_statuses=True)
        statuses: dict[ResponseHeader, list[int]] = defaultdict(list)
        for response in self._successes():
            for header in (*self._shared_headers(), *response.headers):
                statuses[header].append(response.status.value)
        for status, known in _PROBLEM_HEADERS.items():
            for header in known:
                statuses[header].append(status.value)
        for header, in_statuses in statuses.items():
            yield _response_header(header, in_statuses=in_statuses)

    def _shared_headers(self) -> Iterator[ResponseHeader]:
        """Return the headers that all successful responses of this operation may have."""
        if self.operation.is_conditional:
            yield headers.ETAG
        if self.operation.can_wait:
            yield headers.PREFERENCE_APPLIED
        if self.operation.is_idempotent:
            yield headers.IDEMPOTENCY_REPLAYED


def _for_guests(operation: Operation) -> Operation:
    return replace(
        operation,
        id=f"{operation.id}_by_link",
        tag="Guest links",
        summary=f"{operation.summary}, by guest link",
        description=f"{operation.description} The link in the path replaces the token.",
    )


def _response_header(header: ResponseHeader, *, in_statuses: bool | list[int]) -> OpenApiParameter:
    return OpenApiParameter(
        header.name,
        {"type": header.type},
        OpenApiParameter.HEADER,
        description=header.description,
        response=in_statuses,
    )


def _examples(bodies: Mapping[str, Any]) -> list[OpenApiExample]:
    return [OpenApiExample(title, body) for title, body in bodies.items()]


class BearerToken(OpenApiAuthenticationExtension):
    """Describes knox's tokens, with the scope that each view demands."""

    target_class = "access.authentication.BearerAuthentication"
    name = "token"

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[str]]]:
        assert isinstance(auto_schema, StorefrontInspector)  # noqa: S101 - DEFAULT_SCHEMA_CLASS
        if is_guest_path(auto_schema.path):
            return []
        return [{self.name: [auto_schema.scope] if auto_schema.scope else []}]

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The token of a customer or of the shop's own server. Its scopes are "
            "`orders:read`, `orders:write`, and `shop` for the orders of all customers.",
        }
