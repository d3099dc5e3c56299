from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

def action(
    function: Callable[..., Any] | None = ...,
    *,
    permissions: Any = ...,
    description: str | None = ...,
    url_path: str | None = ...,
    attrs: dict[str, Any] | None = ...,
    icon: str | None = ...,
    variant: Any = ...,
    dialog: Any = ...,
) -> Callable[[_F], _F]: ...
def display(
    function: Callable[..., Any] | None = ...,
    *,
    boolean: bool | None = ...,
    image: bool | None = ...,
    ordering: Any = ...,
    description: str | None = ...,
    empty_value: str | None = ...,
    header: bool | None = ...,
    label: Any = ...,
    dropdown: bool | None = ...,
) -> Callable[[_F], _F]: ...
