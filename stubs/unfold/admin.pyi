from typing import Any, TypeVar

from django.contrib import admin
from django.db.models import Model

_ModelT = TypeVar("_ModelT", bound=Model)
_ChildModelT = TypeVar("_ChildModelT", bound=Model)
_ParentModelT = TypeVar("_ParentModelT", bound=Model)

class ModelAdmin(admin.ModelAdmin[_ModelT]):
    list_fullwidth: bool
    list_filter_submit: bool
    list_filter_sheet: bool
    list_filter_options: dict[str, Any]
    list_before_template: str | None
    list_after_template: str | None
    change_form_before_template: str | None
    change_form_after_template: str | None
    change_form_outer_before_template: str | None
    change_form_outer_after_template: str | None
    list_horizontal_scrollbar_top: bool
    compressed_fields: bool
    warn_unsaved_form: bool
    actions_list: Any
    actions_row: Any
    actions_detail: Any
    actions_submit_line: Any

class TabularInline(admin.TabularInline[_ChildModelT, _ParentModelT]):
    tab: bool
    hide_title: bool
    per_page: int | None

class StackedInline(admin.StackedInline[_ChildModelT, _ParentModelT]):
    tab: bool
    hide_title: bool
    per_page: int | None
