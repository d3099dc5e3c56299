"""Answers that need not be sent again (RFC 9110, section 13)."""

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
from orders.api.http.response_schemas import Representation


def unless_known(
    request: Request, shown: Representation, headers: Mapping[str, str] | None = None
) -> HttpResponseBase:
    """Answer what is shown, or 304 where the client has the very same already.

    The entity tag is a digest of all that is shown, so it changes whenever that does, for whatever
    reason: a payment is captured without a move of its order.
    """
    body = shown.as_json()
    digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:32]
    etag = quote_etag(digest)
    response = Response(body, headers={"ETag": etag, "Cache-Control": "private, no-cache"})
    for name, value in (headers or {}).items():
        if value:
            response[name] = value
    patch_vary_headers(response, ["Authorization"])
    asked = request._request  # noqa: SLF001 - Django's own, which its functions take
    answer = get_conditional_response(asked, etag=etag, response=response) or response
    if answer.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise Problem(ProblemType.PRECONDITION_FAILED, "It is not what If-Match names.")
    return answer
