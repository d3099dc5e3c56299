"""The two forms by which people change stock at the desk: goods came in, and somebody counted."""

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
from inventory.services import Entered, adjust, receive

MOST: Final = 1_000_000
"""More than this at once is a slip of the keyboard."""


class Entry(forms.Form):
    """What both forms ask for. The token makes a form that is sent twice one change."""

    title: ClassVar[str]

    token = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(("required", "invalid"), "Open this form again: it is torn."),
    )
    quantity = forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget)
    reason = forms.CharField(max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))

    def carry_out(self, level: StockLevel, actor: str) -> None:
        """Change the level, once for each token. Raises BelowReserved with nothing changed."""
        raise NotImplementedError

    def entered(self, actor: str) -> Entered:
        token: UUID = self.cleaned_data["token"]
        return Entered(token, actor, self.cleaned_data["reason"])


class Receipt(Entry):
    title = "Receive goods"
    quantity = forms.IntegerField(
        label="How many came in",
        min_value=1,
        max_value=MOST,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    field_order = ("token", "quantity", "reason")

    def carry_out(self, level: StockLevel, actor: str) -> None:
        reason: str = self.cleaned_data["reason"]
        receive(level, self.cleaned_data["quantity"], reason, self.entered(actor))


class Adjustment(Entry):
    title = "Adjust stock"
    quantity = forms.IntegerField(
        label="How many more, or fewer (-3)",
        min_value=-MOST,
        max_value=MOST,
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
        adjust(level, self.cleaned_data["quantity"], self.entered(actor))


def enter(
    request: HttpRequest, level_id: str, kind: type[Entry], context: dict[str, Any]
) -> HttpResponse:
    """Show a form, or carry it out: with permission, a reason, and a row in the log of the desk."""
    if not request.user.has_perm("inventory.adjust_stocklevel"):
        raise PermissionDenied
    level = get_object_or_404(
        StockLevel.objects.select_related("product", "warehouse"), pk=level_id
    )
    back = reverse("admin:inventory_stocklevel_change", args=[level.pk])
    form = kind(request.POST or None, initial={"token": uuid4()})
    if request.method == "POST" and form.is_valid() and _carried_out(request, form, level):
        return HttpResponseRedirect(back)
    shown = {"title": kind.title, "form": form, "level": level, "back": back}
    return TemplateResponse(request, "inventory/enter.html", context | shown)


def _carried_out(request: HttpRequest, form: Entry, level: StockLevel) -> bool:
    is_new = not StockEntry.objects.filter(token=form.cleaned_data["token"]).exists()
    try:
        form.carry_out(level, request.user.get_username())
    except BelowReserved as refusal:
        form.add_error(None, str(refusal))
        return False
    said = f"{form.title}: {form.cleaned_data['quantity']:+}. {form.cleaned_data['reason']}"
    if is_new and request.user.pk is not None:
        LogEntry.objects.log_actions(request.user.pk, [level], CHANGE, said, single_object=True)
    messages.success(request, f"{form.title}: done.")
    return True
