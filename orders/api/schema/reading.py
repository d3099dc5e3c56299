"""What every reading of something has in common."""

from http import HTTPStatus
from typing import Final

from orders.api.problem_types import ProblemType
from orders.api.schema.headers import ETAG
from orders.api.schema.operation import Answer

NOT_MODIFIED: Final = Answer(
    HTTPStatus.NOT_MODIFIED, "You have it already: nothing has changed.", headers=(ETAG,)
)
OF_READING: Final = (ProblemType.INVALID_QUERY, ProblemType.PRECONDITION_FAILED)
