"""The admin of approvals: list, page and the two decisions. Approvals are not editable."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from adminkit.admin import RecordAdmin
from adminkit.cells import excerpt, order_link, state, timestamp
from adminkit.filters import ChoiceFilter
from adminkit.search import search_ids
from approvals.models import Approval
from approvals.states import ApprovalStatus, Decision, DefaultAction
from clock.now import Now
from desk.action_forms import ACTION_TEXTS
from desk.approval_actions import DEFAULT_TEXTS, KIND_OF
from desk.approval_views import decision_view, may_decide
from orders.descriptions import OrderDescription, describe_order, payment_warning

PAST_DEADLINE = "past-deadline"


class State(ChoiceFilter):
    """Each state has an index; see the model."""

    title = "state"
    parameter_name = "state"
    options = (
        ("open", "open"),
        (PAST_DEADLINE, "open, past their deadline"),
        ("approved", "approved"),
        ("rejected", "rejected"),
        ("expired", "expired"),
    )

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        if chosen == PAST_DEADLINE:
            return rows.filter(status=ApprovalStatus.OPEN, deadline__lte=Now())
        return rows.filter(status=chosen)


@admin.register(Approval)
class ApprovalAdmin(RecordAdmin[Approval]):
    change_form_template = "desk/approvals/page.html"
    list_display = ("due", "status_cell", "order_page", "kind", "question_text", "decided", "actor")
    list_filter = (State,)
    searches = (search_ids("pk", "subject_id"),)
    search_help_text = "An approval's or an order's id, or its beginning"
    empty_text = "Decisions that orders wait for, such as a review of a large order. No order has asked for one yet."
    fields = (
        *("status_cell", "kind", "question", "due", "default_text", "opened"),
        *("order_page", "reference", "total", "customer", "items"),
        *("decided", "actor", "way", "comment"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        """Read with each approval the time, with which its deadline is compared."""
        return super().get_queryset(request).annotate(read_at=Now())

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the next deadline first where only open ones are listed."""
        is_open = request.GET.get("state") in (ApprovalStatus.OPEN, PAST_DEADLINE)
        return ("deadline", "pk") if is_open else ("-pk",)

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<uuid:approval_id>/decide/<str:decision>/",
            self.admin_site.admin_view(partial(decision_view, self)),
            name="approvals_approval_decide",
        )
        return [own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show an approval; while it is open, with a button for each decision and a warning."""
        approval = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if approval is not None and approval.is_open:
            context["buttons"] = _buttons(approval) if may_decide(request) else []
            context["payment_warning"] = payment_warning(approval.subject_id)
        context |= extra_context or {}
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description="deadline (UTC)")
    def due(self, approval: Approval) -> SafeString | None:
        return timestamp(approval.deadline)

    @admin.display(description="state")
    def status_cell(self, approval: Approval) -> SafeString:
        match approval.status:
            case ApprovalStatus.OPEN if approval.deadline <= vars(approval)["read_at"]:
                return state("open", "past its deadline")
            case ApprovalStatus.OPEN:
                return state("pending", word="open")
            case ApprovalStatus.APPROVED:
                return state("done", word="approved")
            case ApprovalStatus.REJECTED:
                return state("refused", word="rejected")
        return state("stopped", word="expired")

    @admin.display(description="order")
    def order_page(self, approval: Approval) -> SafeString | None:
        return order_link(approval.subject_id)

    @admin.display(description="kind")
    def kind(self, approval: Approval) -> str:
        return approval.label

    @admin.display(description="the shop's number")
    def reference(self, approval: Approval) -> str:
        return found.reference if (found := _order_of(approval)) else ""

    @admin.display(description="total")
    def total(self, approval: Approval) -> str:
        return found.total if (found := _order_of(approval)) else ""

    @admin.display(description="customer")
    def customer(self, approval: Approval) -> str:
        return found.customer if (found := _order_of(approval)) else ""

    @admin.display(description="items")
    def items(self, approval: Approval) -> SafeString:
        found = _order_of(approval)
        items = found.items if found else ()
        return format_html_join(SafeString("<br>"), "{}", [(item,) for item in items])

    @admin.display(description="question")
    def question_text(self, approval: Approval) -> SafeString:
        return excerpt(approval.question)

    @admin.display(description="at the deadline")
    def default_text(self, approval: Approval) -> str:
        text = DEFAULT_TEXTS[DefaultAction(approval.default)]
        if approval.is_open and approval.deadline <= vars(approval)["read_at"]:
            return f"{text}; it was to be decided before, and the order still waits"
        return text

    @admin.display(description="opened (UTC)")
    def opened(self, approval: Approval) -> SafeString | None:
        return timestamp(approval.created_at)

    @admin.display(description="decided (UTC)")
    def decided(self, approval: Approval) -> SafeString | None:
        return timestamp(approval.decided_at)

    @admin.display(description="by")
    def actor(self, approval: Approval) -> str:
        return approval.decided_by

    @admin.display(description="by way of")
    def way(self, approval: Approval) -> str:
        return approval.decided_via


def _order_of(approval: Approval) -> OrderDescription | None:
    """Return the order that an approval is about, read once for its page."""
    values = vars(approval)
    if "described_order" not in values:
        values["described_order"] = describe_order(approval.subject_id)
    found: OrderDescription | None = values["described_order"]
    return found


def _buttons(approval: Approval) -> list[dict[str, str]]:
    return [
        {
            "kind": decision.value,
            "label": ACTION_TEXTS[KIND_OF[decision]].button,
            "url": reverse("admin:approvals_approval_decide", args=[approval.pk, decision.value]),
        }
        for decision in Decision
    ]
