"""The catalogue can be edited here; stock levels and movements are only shown."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from inventory.models import Product, Reservation, StockLevel, StockMovement, Warehouse
from sagas.admin import ReadOnly


class StockLevelInline(ReadOnly, TabularInline[StockLevel, Product]):
    model = StockLevel
    fields = ("warehouse", "on_hand", "reserved")
    readonly_fields = fields
    extra = 0


@admin.register(Product)
class ProductAdmin(ModelAdmin[Product]):
    list_display = ("sku", "name", "price_minor", "is_withdrawn")
    list_filter = ("is_withdrawn",)
    search_fields = ("sku", "name")
    inlines = (StockLevelInline,)


@admin.register(StockLevel)
class StockLevelAdmin(ReadOnly, ModelAdmin[StockLevel]):
    list_display = ("product", "warehouse", "on_hand", "reserved", "available")
    list_select_related = ("product", "warehouse")
    list_filter = ("warehouse",)
    search_fields = ("=product__sku", "product__name")
    ordering = ("product__sku",)


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
    list_display = ("at", "stock_level", "kind", "quantity", "line_id", "note")
    list_filter = ("kind",)
    search_fields = ("=line_id", "stock_level__product__sku")
    show_full_result_count = False
