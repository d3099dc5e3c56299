"""The CSV download of the orders that the list shows."""

from http import HTTPStatus

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from desk import permissions
from desk.action_forms import operator_of
from desk.export import csv_lines
from desk.models import ActionKind, ActionOutcome, OperatorAction
from desk.order_list import describe_filters
from orders.models import Order
from sagas.identifiers import new_id


def export(model_admin: ModelAdmin[Order], request: HttpRequest) -> HttpResponseBase:
    """Write the audit row, then stream the orders as CSV. A GET redirects to the list."""
    if request.method != "POST":
        # Typed by hand, or after a login. The list has a button for the export.
        orders = reverse("admin:orders_order_changelist")
        return HttpResponseRedirect(f"{orders}?{request.GET.urlencode()}")
    operator = operator_of(request)
    if not (model_admin.has_view_permission(request) and operator.has_perm(permissions.EXPORT)):
        raise PermissionDenied
    try:
        changelist = model_admin.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return HttpResponse("There is no such filter.", status=HTTPStatus.BAD_REQUEST)
    OperatorAction.objects.create(
        token=new_id(),
        operator=operator,
        kind=ActionKind.EXPORT,
        reason=describe_filters(changelist),
        outcome=ActionOutcome.DONE,
        message="The orders were sent as CSV.",
    )
    response = StreamingHttpResponse(csv_lines(changelist.queryset), content_type="text/csv")
    name = f"orders-{timezone.now():%Y%m%dT%H%M%SZ}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
