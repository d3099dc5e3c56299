"""Stock at the desk: two forms change it, with a permission and a reason."""

from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from pytest_django import Settings

from inventory.models import StockEntry, StockLevel, Warehouse
from tests.support.shop import Shelf
from tests.support.staff_login import superuser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def level(shelf: Shelf) -> StockLevel:
    return shelf.put("MUG", 10)


@pytest.fixture
def desk(level: StockLevel) -> Client:
    client = Client()
    client.force_login(superuser())
    return client


def address(level: StockLevel, action: str) -> str:
    return f"/admin/inventory/stocklevel/{level.pk}/{action}/"


def form(quantity: object, reason: str = "counted") -> dict[str, str]:
    return {"token": str(uuid4()), "quantity": str(quantity), "reason": reason}


def on_hand(level: StockLevel) -> int:
    level.refresh_from_db()
    return level.on_hand


def test_an_adjustment_is_stored_with_reason_and_name(desk: Client, level: StockLevel) -> None:
    answer = desk.post(address(level, "adjust"), form(-3, "water damage"))

    assert (answer.status_code, on_hand(level)) == (302, 7)
    entry = StockEntry.objects.get()
    assert (entry.actor, entry.reason) == ("grace", "water damage")
    entry_in_log = LogEntry.objects.get()
    assert (entry_in_log.user.username, entry_in_log.change_message) == (
        "grace",
        "Adjust stock: -3. water damage",
    )


def test_goods_are_received(desk: Client, level: StockLevel) -> None:
    desk.post(address(level, "receive"), form(5, "delivery 17"))

    assert on_hand(level) == 15
    assert "delivery 17" in desk.get("/admin/inventory/stockmovement/").content.decode()


def test_a_form_sent_twice_changes_stock_once(desk: Client, level: StockLevel) -> None:
    sent = form(-3)

    desk.post(address(level, "adjust"), sent)
    desk.post(address(level, "adjust"), sent)

    assert on_hand(level) == 7
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("action", "sent", "message"),
    [
        ("adjust", form(-11), "10 are on hand and 0 of them are reserved"),
        ("adjust", form(0), "Nothing would change."),
        ("adjust", form(-3, ""), "This field is required."),
        ("adjust", form("many"), "Enter a whole number."),
        ("adjust", form(10**30), "less than or equal to 1000000"),
        ("receive", form(-1), "greater than or equal to 1"),
        ("receive", {"quantity": "1", "reason": "x"}, "This form is incomplete"),
    ],
)
def test_invalid_forms_are_refused_with_a_message(
    desk: Client, level: StockLevel, action: str, sent: dict[str, str], message: str
) -> None:
    answer = desk.post(address(level, action), sent)

    assert message in answer.content.decode()
    assert on_hand(level) == 10
    assert StockEntry.objects.count() == 0


def test_staff_with_only_the_view_permission_change_no_stock(level: StockLevel) -> None:
    ContentType.objects.clear_cache()
    reader = User.objects.create_user("paul", is_staff=True)
    kind = ContentType.objects.get_for_model(StockLevel)
    view_permission, _ = Permission.objects.get_or_create(
        codename="view_stocklevel", content_type=kind, defaults={"name": "Can view stock level"}
    )
    reader.user_permissions.add(view_permission)
    client = Client()
    client.force_login(reader)

    answers = [client.post(address(level, action), form(1)) for action in ("adjust", "receive")]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert on_hand(level) == 10
    assert client.get(address(level, "change")).status_code == 200


def test_the_sku_of_a_product_cannot_be_changed(desk: Client, level: StockLevel) -> None:
    product = level.product
    page = f"/admin/inventory/product/{product.pk}/change/"
    inline = {"stock_levels-TOTAL_FORMS": 0, "stock_levels-INITIAL_FORMS": 0}

    desk.post(page, {"sku": "CUP", "name": "Cup", "price_minor": 700, **inline})

    product.refresh_from_db()
    assert (product.sku, product.name, product.price_minor) == ("MUG", "Cup", 700)


@pytest.mark.parametrize(
    ("currency", "price_minor", "error"),
    [
        ("bhd", 1205, "Stripe charges only multiples of 0.010 BHD (10 here)."),
        ("mga", 1250, "Stripe charges only multiples of 1.00 MGA (100 here)."),
        ("isk", 1_000_000, "Stripe charges at most 999,999 ISK."),
    ],
)
def test_a_price_that_cannot_be_charged_is_refused(
    desk: Client,
    level: StockLevel,
    settings: Settings,
    *,
    currency: str,
    price_minor: int,
    error: str,
) -> None:
    settings.CURRENCY = currency
    page = f"/admin/inventory/product/{level.product.pk}/change/"
    inline = {"stock_levels-TOTAL_FORMS": 0, "stock_levels-INITIAL_FORMS": 0}

    refused = desk.post(page, {"name": "Mug", "price_minor": price_minor, **inline})

    assert refused.status_code == 200
    assert refused.context["adminform"].form.errors == {"price_minor": [error]}
    level.product.refresh_from_db()
    assert level.product.price_minor == 1000
    assert desk.post(page, {"name": "Mug", "price_minor": 1200, **inline}).status_code == 302
    level.product.refresh_from_db()
    assert level.product.price_minor == 1200


@pytest.mark.parametrize(
    ("currency", "text"),
    [
        ("eur", "In minor units: 125000 for 1,250.00 EUR."),
        ("jpy", "In minor units: 1250 for 1,250 JPY."),
    ],
)
def test_the_price_field_shows_an_example_in_the_shops_currency(
    desk: Client, level: StockLevel, settings: Settings, currency: str, text: str
) -> None:
    settings.CURRENCY = currency

    page = desk.get(f"/admin/inventory/product/{level.product.pk}/change/").content.decode()

    assert text in page


def form_with_warehouse(
    warehouse: Warehouse, level: StockLevel, *, existing: int = 1
) -> dict[str, object]:
    """Return the form of the level's product with one more warehouse."""
    return {
        "name": "Mug",
        "price_minor": 1000,
        "stock_levels-TOTAL_FORMS": existing + 1,
        "stock_levels-INITIAL_FORMS": existing,
        "stock_levels-0-id": level.pk,
        "stock_levels-0-product": level.product_id,
        f"stock_levels-{existing}-product": level.product_id,
        f"stock_levels-{existing}-warehouse": warehouse.pk,
        f"stock_levels-{existing}-on_hand": 999,
    }


def test_only_warehouses_without_the_product_are_offered(desk: Client, level: StockLevel) -> None:
    far = Warehouse.objects.create(code="far", name="Far")
    page = f"/admin/inventory/product/{level.product_id}/change/"

    (inline,) = desk.get(page).context["inline_admin_formsets"]
    (fresh,) = desk.get("/admin/inventory/product/add/").context["inline_admin_formsets"]

    offered = [
        list(inline_formset.formset.empty_form.fields["warehouse"].queryset.order_by("pk"))
        for inline_formset in (inline, fresh)
    ]
    assert offered == [[far], [level.warehouse, far]]


def test_naming_a_warehouse_twice_is_refused_with_a_message(
    desk: Client, level: StockLevel
) -> None:
    far = Warehouse.objects.create(code="far", name="Far")
    page = f"/admin/inventory/product/{level.product_id}/change/"
    twice = {
        **form_with_warehouse(far, level),
        "stock_levels-TOTAL_FORMS": 3,
        "stock_levels-2-product": level.product_id,
        "stock_levels-2-warehouse": far.pk,
    }

    answer = desk.post(page, twice)

    assert answer.status_code == 200
    assert "Each warehouse can be named once." in answer.content.decode()
    assert "duplicate" not in answer.content.decode()
    assert StockLevel.objects.count() == 1


def test_a_product_added_to_a_warehouse_has_no_stock_there(desk: Client, level: StockLevel) -> None:
    far = Warehouse.objects.create(code="far", name="Far")
    page = f"/admin/inventory/product/{level.product_id}/change/"

    again = desk.post(page, form_with_warehouse(level.warehouse, level))
    first = desk.post(page, form_with_warehouse(far, level))

    assert (again.status_code, first.status_code) == (200, 302)
    assert "Select a valid choice." in again.content.decode()
    levels = StockLevel.objects.order_by("pk").values_list("warehouse__code", "on_hand", "reserved")
    assert list(levels) == [("main", 10, 0), ("far", 0, 0)]
