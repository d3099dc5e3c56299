"""The two forms by which staff change stock at the desk: receive goods, and adjust after counting."""

from typing import Any, ClassVar, Final
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget

from inventory.errors import BelowReserved
from inventory.models import StockEntry, StockLevel
from inventory.services import ManualEntry, adjust, receive

MAX_QUANTITY: Final = 1_000_000
"""A larger change in one form is a typing error."""


class StockForm(forms.Form):
    """The fields of both forms. A form that is sent twice changes stock once, by its token."""

    title: ClassVar[str]

    token = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(
            ("required", "invalid"), "This form is incomplete. Open it again."
        ),
    )
    quantity = forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget)
    reason = forms.CharField(max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))

    def carry_out(self, level: StockLevel, actor: str) -> None:
        """Change the level, once per token. Raises BelowReserved with nothing changed."""
        raise NotImplementedError

    def entry(self, actor: str) -> ManualEntry:
        token: UUID = self.cleaned_data["token"]
        return ManualEntry(token, actor, self.cleaned_data["reason"])


class ReceiveForm(StockForm):
    title = "Receive goods"
    quantity = forms.IntegerField(
        label="Quantity received",
        min_value=1,
        max_value=MAX_QUANTITY,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    field_order = ("token", "quantity", "reason")

    def carry_out(self, level: StockLevel, actor: str) -> None:
        reason: str = self.cleaned_data["reason"]
        receive(level, self.cleaned_data["quantity"], reason, self.entry(actor))


class AdjustForm(StockForm):
    title = "Adjust stock"
    quantity = forms.IntegerField(
        label="How many more, or fewer (-3)",
        min_value=-MAX_QUANTITY,
        max_value=MAX_QUANTITY,
        help_text="The difference between what was counted and what is on hand.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    field_order = ("token", "quantity", "reason")

    def clean_quantity(self) -> int:
        change: int = self.cleaned_data["quantity"]
        if not change:
            raise forms.ValidationError("Nothing would change.")
        return change

    def carry_out(self, level: StockLevel, actor: str) -> None:
        adjust(level, self.cleaned_data["quantity"], self.entry(actor))


def stock_form_view(
    request: HttpRequest, level_id: str, form_class: type[StockForm], context: dict[str, Any]
) -> HttpResponse:
    """Show a form or carry it out. Needs the permission and a reason; writes a log entry."""
    if not request.user.has_perm("inventory.adjust_stocklevel"):
        raise PermissionDenied
    level = get_object_or_404(
        StockLevel.objects.select_related("product", "warehouse"), pk=level_id
    )
    back = reverse("admin:inventory_stocklevel_change", args=[level.pk])
    form = form_class(request.POST or None, initial={"token": uuid4()})
    if request.method == "POST" and form.is_valid() and _carry_out(request, form, level):
        return HttpResponseRedirect(back)
    shown = {"title": form_class.title, "form": form, "level": level, "back_url": back}
    return TemplateResponse(request, "inventory/enter.html", context | shown)


def _carry_out(request: HttpRequest, form: StockForm, level: StockLevel) -> bool:
    is_new = not StockEntry.objects.filter(token=form.cleaned_data["token"]).exists()
    try:
        form.carry_out(level, request.user.get_username())
    except BelowReserved as error:
        form.add_error(None, str(error))
        return False
    logged = f"{form.title}: {form.cleaned_data['quantity']:+}. {form.cleaned_data['reason']}"
    if is_new and request.user.pk is not None:
        LogEntry.objects.log_actions(request.user.pk, [level], CHANGE, logged, single_object=True)
    messages.success(request, f"{form.title}: done.")
    return True
