"""What every reading of something has in common."""

from http import HTTPStatus
from typing import Final

from orders.api.http.documentation.headers import ETAG
from orders.api.http.documentation.operation import Answer
from orders.api.http.problem_types import ProblemType

NOT_MODIFIED: Final = Answer(
    HTTPStatus.NOT_MODIFIED, "You have it already: nothing has changed.", headers=(ETAG,)
)
OF_READING: Final = (ProblemType.INVALID_QUERY, ProblemType.PRECONDITION_FAILED)
