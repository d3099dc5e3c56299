from typing import Any

from django.contrib.admin.views import main
from django.http import HttpRequest

class ChangeList(main.ChangeList):
    has_active_filters: bool
    filter_params: dict[str, list[str]]

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None: ...
