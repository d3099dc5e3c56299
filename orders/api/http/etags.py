"""Conditional reads (RFC 9110, section 13): ETag, If-None-Match and If-Match.

REST framework has no ETags. Django's ``condition`` decorator needs the ETag before the view runs;
here it is a digest of the response.
"""

import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus

from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import quote_etag
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem
from orders.api.http.response_schemas import ResponseSchema


def conditional_response(
    request: Request, content: ResponseSchema, headers: Mapping[str, str] | None = None
) -> HttpResponseBase:
    """Return the content with its ETag, or 304 when the client's If-None-Match names that ETag.

    The ETag is a digest of the whole content. It also changes when the order's version does not,
    for example when the payment is captured. Raises a Problem (412) when If-Match names another.
    """
    body = content.as_json()
    digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:32]
    etag = quote_etag(digest)
    response = Response(body, headers={"ETag": etag, "Cache-Control": "private, no-cache"})
    for name, value in (headers or {}).items():
        if value:
            response[name] = value
    patch_vary_headers(response, ["Authorization"])
    django_request = request._request  # noqa: SLF001 - Django's functions do not accept DRF's
    result = get_conditional_response(django_request, etag=etag, response=response) or response
    if result.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise Problem(
            ProblemType.PRECONDITION_FAILED, "The resource does not have the ETag of If-Match."
        )
    return result
