"""The catalogue can be edited here; stock changes by movements alone, each with its reason."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import F, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

from inventory.entering import Adjustment, Receipt, enter
from inventory.models import Product, Reservation, StockLevel, StockMovement, Warehouse
from sagas.admin import ReadOnly


class StockLevelInline(ReadOnly, TabularInline[StockLevel, Product]):
    model = StockLevel
    fields = ("warehouse", "on_hand", "reserved", "available")
    readonly_fields = fields
    extra = 0
    show_change_link = True


@admin.register(Product)
class ProductAdmin(ModelAdmin[Product]):
    list_display = ("sku", "name", "price_minor", "available", "is_withdrawn")
    list_filter = ("is_withdrawn",)
    search_fields = ("sku", "name")
    inlines = (StockLevelInline,)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        available = Sum(F("stock_levels__on_hand") - F("stock_levels__reserved"), default=0)
        return super().get_queryset(request).annotate(available=available)

    def get_readonly_fields(self, request: HttpRequest, obj: Product | None = None) -> list[str]:  # noqa: ARG002 - Django's signature
        """A SKU is what orders and the storefront know a product by."""
        return ["sku"] if obj else []

    @admin.display(description="available", ordering="available")
    def available(self, product: Product) -> int:
        return int(getattr(product, "available", 0))


@admin.register(StockLevel)
class StockLevelAdmin(ReadOnly, ModelAdmin[StockLevel]):
    """To be read; changed by receiving goods and by counting, each with its reason."""

    list_display = ("product", "warehouse", "on_hand", "reserved", "available")
    list_select_related = ("product", "warehouse")
    list_filter = ("warehouse",)
    search_fields = ("=product__sku", "product__name")
    ordering = ("product__sku",)
    show_full_result_count = False
    readonly_fields = ("available",)
    fields = ("product", "warehouse", "on_hand", "reserved", "available")
    actions_detail = ("receive_goods", "adjust_stock")

    def has_adjust_permission(self, request: HttpRequest, *_: Any) -> bool:
        user = request.user
        return isinstance(user, User) and user.has_perm("inventory.adjust_stocklevel")

    @action(description="Receive goods", url_path="receive", permissions=["adjust"])
    def receive_goods(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return enter(request, object_id, Receipt, self.admin_site.each_context(request))

    @action(description="Adjust stock", url_path="adjust", permissions=["adjust"])
    def adjust_stock(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return enter(request, object_id, Adjustment, self.admin_site.each_context(request))


@admin.register(Warehouse)
class WarehouseAdmin(ModelAdmin[Warehouse]):
    list_display = ("code", "name")


@admin.register(Reservation)
class ReservationAdmin(ReadOnly, ModelAdmin[Reservation]):
    list_display = ("order_id", "stock_level", "quantity", "status", "created_at")
    list_filter = ("status",)
    search_fields = ("=order_id",)
    show_full_result_count = False


@admin.register(StockMovement)
class StockMovementAdmin(ReadOnly, ModelAdmin[StockMovement]):
    list_display = ("at", "product", "kind", "quantity", "note", "by", "line_id")
    list_select_related = ("stock_level__product", "stock_level__warehouse", "entry")
    list_filter = ("kind",)
    ordering = ("-id",)
    search_fields = ("=line_id", "stock_level__product__sku")
    show_full_result_count = False

    @admin.display(description="product")
    def product(self, movement: StockMovement) -> str:
        level = movement.stock_level
        return f"{level.product.sku} in {level.warehouse.code}"

    @admin.display(description="by")
    def by(self, movement: StockMovement) -> str:
        entry = getattr(movement, "entry", None)
        return entry.actor if entry else "the saga" if movement.line_id else ""
