"""What the document says of one operation; what can be derived is not said here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from pydantic import BaseModel

from orders.api.http.problem_types import ProblemType


@dataclass(frozen=True, slots=True)
class Header:
    """A header that an answer may have."""

    name: str
    description: str
    form: str = "string"


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers that are not problems."""

    status: HTTPStatus
    description: str
    body: type[BaseModel] | Mapping[str, Any] | None = None
    """A model, or a form of its own where the answer is no JSON."""
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Bodies, each under a title."""
    headers: tuple[Header, ...] = ()
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    name: str
    topic: str
    summary: str
    description: str
    answers: tuple[Answer, ...]
    body: type[BaseModel] | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Bodies of requests, each under a title."""
    parameters: tuple[OpenApiParameter, ...] = ()
    problems: tuple[ProblemType, ...] = ()
    """Those that not every operation of this kind may answer."""
    needs_scope: bool = True
