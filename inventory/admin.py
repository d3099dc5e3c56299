"""The catalogue is edited here; stock changes only by movements, each with its reason."""

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import action

from adminkit.admin import PagedAdmin, ReadOnlyMixin, RecordAdmin
from adminkit.cells import amount, excerpt, order_link, product_link, state, timestamp
from adminkit.filters import ChoiceFilter, newest_rows_filter
from adminkit.search import id_matches, search_ids, search_related
from inventory.models import (
    MovementKind,
    Product,
    Reservation,
    ReservationStatus,
    StockLevel,
    StockMovement,
    Warehouse,
)
from inventory.prices import check_price
from inventory.stock_forms import AdjustForm, ReceiveForm, stock_form_view
from money.amounts import example_price

_MOVED: Final = {
    MovementKind.RECEIPT: "received",
    MovementKind.RESERVE: "reserved",
    MovementKind.RELEASE: "released",
    MovementKind.ADJUST: "counted",
}


def search_catalogue(prefix: str = "") -> Any:
    """Search by the beginning of a SKU, or by part of a name; may read the whole catalogue."""
    return lambda term: (
        Q(**{f"{prefix}sku__istartswith": term}) | Q(**{f"{prefix}name__icontains": term})
    )


def may_adjust(request: HttpRequest) -> bool:
    user = request.user
    return isinstance(user, User) and user.has_perm("inventory.adjust_stocklevel")


def levels_of(sku: str) -> QuerySet[StockLevel, Any]:
    return StockLevel.objects.filter(product__sku__in={sku, sku.upper()}).values_list(
        "pk", flat=True
    )


def lines_of(order: str) -> QuerySet[Reservation, Any] | None:
    condition = id_matches("order_id", order)
    if condition is None:
        return None
    return Reservation.objects.filter(condition).values_list("line_id", flat=True)


class OtherWarehousesFormSet(BaseInlineFormSet[StockLevel, Product, forms.ModelForm[StockLevel]]):
    """Offers each warehouse that does not have the product yet, once."""

    def add_fields(self, form: forms.ModelForm[StockLevel], index: int | None) -> None:
        super().add_fields(form, index)
        if index is None or index >= self.initial_form_count():
            present = StockLevel.objects.filter(product=self.instance.pk).values("warehouse")
            choice: Any = form.fields["warehouse"]
            choice.queryset = Warehouse.objects.exclude(pk__in=present)

    def get_unique_error_message(self, unique_check: Sequence[str]) -> str:  # noqa: ARG002 - Django's signature
        return "Each warehouse can be named once."

    def get_form_error(self) -> str:
        return "It is named above."


class StockLevelInline(ReadOnlyMixin, TabularInline[StockLevel, Product]):
    """The stock of a product per warehouse; another warehouse starts with 0."""

    model = StockLevel
    verbose_name = "warehouse"
    verbose_name_plural = "in stock"
    fields = ("warehouse", "on_hand", "reserved", "available")
    readonly_fields = ("on_hand", "reserved", "available")
    extra = 0
    hide_title = True
    show_change_link = True
    formset = OtherWarehousesFormSet

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return may_adjust(request)


class ProductForm(forms.ModelForm[Product]):
    """A product as staff enter it."""

    def clean_price_minor(self) -> int:
        price_minor: int = self.cleaned_data["price_minor"]
        check_price(price_minor)
        return price_minor


class ForSale(ChoiceFilter):
    title = "state"
    parameter_name = "withdrawn"
    options = (("no", "for sale"), ("yes", "withdrawn"))

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        return rows.filter(is_withdrawn=chosen == "yes")


@admin.register(Product)
class ProductAdmin(PagedAdmin[Product]):
    form = ProductForm
    list_display = ("sku_cell", "name", "price", "available", "for_sale")
    list_filter = (ForSale,)
    searches = (search_catalogue(),)
    search_help_text = "A SKU or its beginning, or part of a name"
    empty_text = "What the shop sells. Add a product with the + above, and the warehouses that it is kept in."
    ordering = ("sku",)
    fields = ("sku", "name", "price_minor", "is_withdrawn")
    inlines = (StockLevelInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        left = (
            StockLevel.objects.filter(product=OuterRef("pk"))
            .values("product")
            .annotate(left=Sum(F("on_hand") - F("reserved")))
        )
        available = Coalesce(Subquery(left.values("left")), 0)
        return super().get_queryset(request).annotate(available=available)

    def get_readonly_fields(self, request: HttpRequest, obj: Product | None = None) -> list[str]:  # noqa: ARG002 - Django's signature
        """The SKU of a saved product is read-only: orders and the storefront identify it by SKU."""
        return ["sku"] if obj else []

    def get_form(self, *args: Any, **kwargs: Any) -> type[forms.ModelForm[Product]]:
        labels = {"sku": "SKU", "price_minor": "Price", "is_withdrawn": "Withdrawn"}
        help_texts = {
            "price_minor": f"In minor units: {example_price(settings.CURRENCY)}.",
            "is_withdrawn": "A withdrawn product can no longer be bought. Orders that contain it keep it.",
        }
        return super().get_form(*args, **kwargs, labels=labels, help_texts=help_texts)

    @admin.display(description="SKU")
    def sku_cell(self, product: Product) -> str:
        return product.sku

    @admin.display(description="price")
    def price(self, product: Product) -> SafeString:
        return amount(product.price_minor, settings.CURRENCY)

    @admin.display(description="available")
    def available(self, product: Product) -> int:
        return int(getattr(product, "available", 0))

    @admin.display(description="state")
    def for_sale(self, product: Product) -> SafeString:
        return state("withdrawn") if product.is_withdrawn else state("for-sale", word="for sale")


class InWarehouse(ChoiceFilter):
    title = "warehouse"
    parameter_name = "warehouse"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [
            (code, code)
            for code in Warehouse.objects.order_by("code").values_list("code", flat=True)
        ]

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        return rows.filter(warehouse__code=chosen)


class SoldOut(ChoiceFilter):
    title = "sold out"
    parameter_name = "sold_out"
    options = (("yes", "Yes"), ("no", "No"))

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        nothing_left = Q(on_hand__lte=F("reserved"))
        return rows.filter(nothing_left if chosen == "yes" else ~nothing_left)


@admin.register(StockLevel)
class StockLevelAdmin(RecordAdmin[StockLevel]):
    """Read-only; changed by the actions *receive goods* and *adjust stock*, each with its reason."""

    # The template with the history of who received and counted what.
    change_form_template = "admin/change_form.html"

    list_display = ("product", "name", "warehouse", "on_hand", "reserved", "available")
    list_select_related = ("product", "warehouse")
    list_filter = (InWarehouse, SoldOut)
    searches = (search_catalogue("product__"),)
    search_help_text = "A SKU or its beginning, or part of a name"
    empty_text = "The stock of each product per warehouse. Add a product to a warehouse on the product's page."
    ordering = ("product__sku",)
    readonly_fields = ("available", "product_page")
    fields = ("product_page", "warehouse", "on_hand", "reserved", "available")
    actions_detail = ("receive_goods", "adjust_stock")

    def has_adjust_permission(self, request: HttpRequest, *_: Any) -> bool:
        return may_adjust(request)

    @action(description="Receive goods", url_path="receive", permissions=["adjust"])
    def receive_goods(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return stock_form_view(
            request, object_id, ReceiveForm, self.admin_site.each_context(request)
        )

    @action(description="Adjust stock", url_path="adjust", permissions=["adjust"])
    def adjust_stock(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return stock_form_view(
            request, object_id, AdjustForm, self.admin_site.each_context(request)
        )

    @admin.display(description="name")
    def name(self, level: StockLevel) -> str:
        return level.product.name

    @admin.display(description="product")
    def product_page(self, level: StockLevel) -> SafeString:
        return product_link(level.product)


@admin.register(Warehouse)
class WarehouseAdmin(PagedAdmin[Warehouse]):
    list_display = ("code", "name")
    empty_text = "Where stock is kept. Add one before goods are received."
    ordering = ("code",)


@admin.register(Reservation)
class ReservationAdmin(RecordAdmin[Reservation]):
    list_display = ("created", "order", "product", "warehouse", "quantity", "status_cell")
    list_select_related = ("stock_level__product", "stock_level__warehouse")
    list_filter = (
        newest_rows_filter(
            "status", "state", [(status, status) for status in ReservationStatus.values]
        ),
    )
    searches = (search_ids("order_id"), search_related("stock_level_id", levels_of))
    search_help_text = "An order's id or its beginning, or a SKU"
    empty_text = "The stock reserved by order lines. No order was placed yet."
    fields = ("order", "product", "warehouse", "quantity", "status_cell", "created")
    readonly_fields = fields

    @admin.display(description="made (UTC)")
    def created(self, reservation: Reservation) -> SafeString | None:
        return timestamp(reservation.created_at)

    @admin.display(description="order")
    def order(self, reservation: Reservation) -> SafeString | None:
        return order_link(reservation.order_id)

    @admin.display(description="product")
    def product(self, reservation: Reservation) -> SafeString:
        return product_link(reservation.stock_level.product)

    @admin.display(description="warehouse")
    def warehouse(self, reservation: Reservation) -> str:
        return reservation.stock_level.warehouse.code

    @admin.display(description="state")
    def status_cell(self, reservation: Reservation) -> SafeString:
        return state(reservation.status)


@admin.register(StockMovement)
class StockMovementAdmin(RecordAdmin[StockMovement]):
    list_display = (
        "when",
        "product",
        "warehouse",
        "kind_cell",
        "change",
        "order",
        "by",
        "note_excerpt",
    )
    list_select_related = ("stock_level__product", "stock_level__warehouse", "entry")
    list_filter = (newest_rows_filter("kind", "what happened", list(_MOVED.items())),)
    searches = (search_related("line_id", lines_of), search_related("stock_level_id", levels_of))
    search_help_text = "An order's id or its beginning, or a SKU"
    empty_text = (
        "Every change of stock: received, reserved, released, counted. There is no movement yet."
    )
    fields = ("when", "product", "warehouse", "kind_cell", "change", "order", "by", "note")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[StockMovement]:
        """Add the order id of each movement, from the reservation of its line."""
        held = Reservation.objects.filter(line_id=OuterRef("line_id")).values("order_id")
        return super().get_queryset(request).annotate(order_id=Subquery(held))

    @admin.display(description="when (UTC)")
    def when(self, movement: StockMovement) -> SafeString | None:
        return timestamp(movement.at)

    @admin.display(description="product")
    def product(self, movement: StockMovement) -> SafeString:
        return product_link(movement.stock_level.product)

    @admin.display(description="warehouse")
    def warehouse(self, movement: StockMovement) -> str:
        return movement.stock_level.warehouse.code

    @admin.display(description="what happened")
    def kind_cell(self, movement: StockMovement) -> SafeString:
        return state(movement.kind, word=_MOVED[MovementKind(movement.kind)])

    @admin.display(description="quantity")
    def change(self, movement: StockMovement) -> str:
        has_order = movement.line_id is not None
        return str(movement.quantity) if has_order else f"{movement.quantity:+}"

    @admin.display(description="order")
    def order(self, movement: StockMovement) -> SafeString | None:
        return order_link(getattr(movement, "order_id", None))

    @admin.display(description="by")
    def by(self, movement: StockMovement) -> str | None:
        entry = getattr(movement, "entry", None)
        return entry.actor if entry else "the order's run" if movement.line_id else None

    @admin.display(description="note")
    def note_excerpt(self, movement: StockMovement) -> SafeString | None:
        return excerpt(movement.note) if movement.note else None
