"""What is stored of a payment before the provider is called, and after its answer."""

from uuid import UUID

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from bulk_sql.statements import write
from events.models import OutboxEvent
from payments import services
from payments.models import Payment
from payments.providers.stripe.provider import API_VERSION
from payments.services import Charge, CustomerAction, PendingAction
from payments.states import SOURCES, PaymentStatus
from sagas.identifiers import new_id
from tests.support.payment_attempts import PRICE, prepared_payment

pytestmark = pytest.mark.django_db

RECORD = {
    PaymentStatus.AUTHORIZED: services.record_authorizations,
    PaymentStatus.CAPTURED: services.record_captures,
}


def payment_at(status: PaymentStatus, payment_id: str = "pi_1") -> Payment:
    payment = prepared_payment()
    Payment.objects.filter(pk=payment.pk).update(status=status, provider_payment_id=payment_id)
    payment.refresh_from_db()
    return payment


def closing(payment: Payment, status: str, decline_code: str = "") -> dict[UUID, dict[str, object]]:
    """Return the result of ``close`` for one payment."""
    ended = {"payment_id": str(payment.pk), "status": status, "decline_code": decline_code}
    return {payment.order_id: {"payments": [ended]}}


def events() -> list[tuple[str, UUID, UUID, object]]:
    found = OutboxEvent.objects.order_by("id")
    return list(found.values_list("name", "key", "correlation_id", "payload"))


def test_the_table_of_moves_between_payment_states() -> None:
    assert SOURCES == {
        "authorized": ("prepared",),
        "captured": ("authorized",),
        "voided": ("prepared", "authorized"),
        "refunded": ("prepared", "authorized", "captured"),
    }


def test_the_parameters_are_stored_before_the_provider_is_called() -> None:
    payment = prepared_payment("pm_card_amex", 4200)

    assert (payment.status, payment.amount_minor, payment.currency) == (
        "prepared",
        4200,
        "eur",
    )
    assert (payment.provider_payment_id, payment.closing_since) == (None, None)
    assert payment.api_version == API_VERSION
    assert payment.params == {
        "amount": 4200,
        "currency": "eur",
        "payment_method": "pm_card_amex",
        "allowed_payment_method_types": ["card"],
        "capture_method": "manual",
        "metadata": {
            "installation_id": "tests",
            "order_id": str(payment.order_id),
            "payment_id": str(payment.pk),
        },
        "confirm": {},
    }
    assert events() == []


def test_preparing_again_keeps_the_first_payment() -> None:
    payment = prepared_payment()

    write(services.prepare_payments([charge(payment.order_id, amount_minor=1)]))

    assert Payment.objects.get() == payment
    assert Payment.objects.get().amount_minor == PRICE


def test_an_order_gets_a_second_payment_after_the_first_is_closed() -> None:
    first = prepared_payment()
    services.mark_closing([first.order_id])

    write(services.prepare_payments([charge(first.order_id)]))

    assert Payment.objects.filter(order_id=first.order_id).count() == 2


def test_every_attempt_at_an_operation_uses_the_same_key() -> None:
    payment = prepared_payment()

    keys = {payment.idempotency_key(name) for name in ("create", "confirm", "create")}
    payment.key_version = 2

    assert keys == {f"{payment.pk}-create-1", f"{payment.pk}-confirm-1"}
    assert payment.idempotency_key("create") == f"{payment.pk}-create-2"


def test_recording_an_authorization_publishes_an_event() -> None:
    payment = payment_at(PaymentStatus.PREPARED)

    services.record_authorizations([payment.order_id])

    payload = {
        "payment_id": str(payment.pk),
        "provider": "stripe",
        "provider_payment_id": "pi_1",
        "amount_minor": PRICE,
        "currency": "eur",
    }
    payment.refresh_from_db()
    assert payment.status == "authorized"
    assert payment.authorized_at is not None
    assert payment.captured_at is None
    assert events() == [("payment.authorized", payment.order_id, payment.correlation_id, payload)]


def test_recording_a_capture_publishes_an_event() -> None:
    payment = payment_at(PaymentStatus.AUTHORIZED)

    services.record_captures([payment.order_id])

    payment.refresh_from_db()
    assert payment.status == "captured"
    assert payment.captured_at is not None
    assert [name for name, *_ in events()] == ["payment.captured"]


def test_payments_of_several_orders_are_recorded_together() -> None:
    first, second = (payment_at(PaymentStatus.PREPARED, f"pi_{number}") for number in (1, 2))
    other = payment_at(PaymentStatus.PREPARED, "pi_3")

    services.record_authorizations([first.order_id, second.order_id])

    assert {key for _, key, _, _ in events()} == {first.order_id, second.order_id}
    assert Payment.objects.get(pk=other.pk).status == "prepared"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (source, target)
        for target in RECORD
        for source in PaymentStatus
        if source not in SOURCES[target]
    ],
)
def test_a_move_that_is_not_allowed_is_refused(
    source: PaymentStatus, target: PaymentStatus
) -> None:
    payment = payment_at(source)

    with pytest.raises(RuntimeError, match=f"cannot become {target}"):
        RECORD[target]([payment.order_id])

    assert Payment.objects.get().status == source
    assert events() == []


def test_one_payment_that_cannot_move_stops_all() -> None:
    first = payment_at(PaymentStatus.PREPARED, "pi_1")
    second = payment_at(PaymentStatus.CAPTURED, "pi_2")

    with pytest.raises(RuntimeError, match="cannot become"), transaction.atomic():
        services.record_authorizations([first.order_id, second.order_id])

    assert set(Payment.objects.values_list("status", flat=True)) == {"prepared", "captured"}
    assert events() == []


def test_closing_again_keeps_the_first_time() -> None:
    payment = payment_at(PaymentStatus.PREPARED)
    services.mark_closing([payment.order_id])
    shut_at = Payment.objects.get().closing_since

    services.mark_closing([payment.order_id])

    assert shut_at is not None
    assert Payment.objects.get().closing_since == shut_at


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (source, target)
        for target in (PaymentStatus.VOIDED, PaymentStatus.REFUNDED)
        for source in SOURCES[target]
    ],
)
def test_recording_an_end_publishes_an_event(source: PaymentStatus, target: PaymentStatus) -> None:
    payment = payment_at(source)
    services.mark_closing([payment.order_id])

    services.record_closings(closing(payment, target))

    [(name, key, _, payload)] = events()
    assert Payment.objects.get().status == target
    assert (name, key) == (f"payment.{target}", payment.order_id)
    expected = {
        "payment_id": str(payment.pk),
        "provider": "stripe",
        "provider_payment_id": "pi_1",
        "amount_minor": PRICE,
        "currency": "eur",
    }
    if target == PaymentStatus.VOIDED:
        expected["decline_code"] = ""
    assert payload == expected


def test_the_decline_code_is_stored_and_published() -> None:
    payment = payment_at(PaymentStatus.PREPARED)

    services.record_closings(closing(payment, "voided", "insufficient_funds"))

    [(_, _, _, payload)] = events()
    assert Payment.objects.get().decline_code == "insufficient_funds"
    assert isinstance(payload, dict)
    assert payload["decline_code"] == "insufficient_funds"


@pytest.mark.parametrize(
    ("status", "at_provider", "kept"),
    [
        ("voided", "", "insufficient_funds"),
        ("voided", "lost_card", "lost_card"),
        ("refunded", "", ""),
    ],
)
def test_a_recorded_decline_stays_with_a_payment_that_was_never_paid(
    status: str, at_provider: str, kept: str
) -> None:
    payment = prepared_payment()
    services.record_decline(payment.order_id, "insufficient_funds")
    payment.refresh_from_db()
    assert (payment.status, payment.decline_code) == ("prepared", "insufficient_funds")

    with transaction.atomic():
        services.record_closings(closing(payment, status, at_provider))

    payment.refresh_from_db()
    assert (payment.status, payment.decline_code) == (status, kept)


def test_an_authorized_payment_is_no_longer_declined() -> None:
    payment = prepared_payment()
    services.record_decline(payment.order_id, "insufficient_funds")

    with transaction.atomic():
        services.record_authorizations([payment.order_id])

    payment.refresh_from_db()
    assert (payment.status, payment.decline_code) == ("authorized", "")


def test_a_payment_that_is_being_closed_is_not_declined_any_more() -> None:
    payment = prepared_payment()
    services.mark_closing([payment.order_id])

    services.record_decline(payment.order_id, "insufficient_funds")

    payment.refresh_from_db()
    assert payment.decline_code == ""


def test_recording_an_end_again_publishes_nothing() -> None:
    payment = payment_at(PaymentStatus.CAPTURED)
    services.record_closings(closing(payment, "refunded"))

    services.record_closings(closing(payment, "refunded"))

    assert [name for name, *_ in events()] == ["payment.refunded"]


def test_payments_with_different_ends_are_recorded_together() -> None:
    declined, held, taken = (
        payment_at(PaymentStatus.PREPARED, "pi_1"),
        payment_at(PaymentStatus.AUTHORIZED, "pi_2"),
        payment_at(PaymentStatus.CAPTURED, "pi_3"),
    )

    services.record_closings(
        {
            **closing(declined, "voided", "expired_card"),
            **closing(held, "voided"),
            **closing(taken, "refunded"),
        }
    )

    assert dict(Payment.objects.values_list("pk", "status")) == {
        declined.pk: "voided",
        held.pk: "voided",
        taken.pk: "refunded",
    }
    assert dict(Payment.objects.values_list("pk", "decline_code")) == {
        declined.pk: "expired_card",
        held.pk: "",
        taken.pk: "",
    }
    assert {(name, key) for name, key, _, _ in events()} == {
        ("payment.voided", declined.order_id),
        ("payment.voided", held.order_id),
        ("payment.refunded", taken.order_id),
    }


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (source, target)
        for target in (PaymentStatus.VOIDED, PaymentStatus.REFUNDED)
        for source in PaymentStatus
        if source not in SOURCES[target] and source != target
    ],
)
def test_an_end_that_is_not_allowed_is_refused(
    source: PaymentStatus, target: PaymentStatus
) -> None:
    payment = payment_at(source)

    with pytest.raises(RuntimeError, match=f"cannot become {target}"):
        services.record_closings(closing(payment, target))

    assert Payment.objects.get().status == source
    assert events() == []


def test_the_action_of_a_customer_is_that_of_the_open_payment() -> None:
    first, other = prepared_payment(), prepared_payment()
    for payment, url in ((first, "https://a.example/"), (other, "https://b.example/")):
        ask_the_customer(payment, url)
    services.mark_closing([first.order_id])
    after_closing = services.customer_action(first.order_id)
    write(services.prepare_payments([charge(first.order_id)]))
    second = Payment.objects.get(order_id=first.order_id, closing_since=None)
    without_action = services.customer_action(first.order_id)

    ask_the_customer(second, "https://c.example/")

    assert (after_closing, without_action) == (None, None)
    assert services.customer_action(first.order_id) == PendingAction(
        CustomerAction("redirect", "https://c.example/"), f"secret of {second.pk}", second.pk
    )
    assert services.customer_action(new_id()) is None


def ask_the_customer(payment: Payment, url: str) -> None:
    Payment.objects.filter(pk=payment.pk).update(
        next_action={"type": "redirect", "url": url}, client_secret=f"secret of {payment.pk}"
    )


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"amount_minor": 0}, "payments_amount_is_positive"),
        ({"status": "lost"}, "payments_status_known"),
        ({"provider_payment_id": "pi_1"}, "payments_one_payment_per_provider_payment"),
        ({"order_id": new_id()}, "payments_one_open_payment_per_order"),
        ({"client_secret": "x", "status": "authorized"}, "payments_action_only_while_open"),
        ({"next_action": {}, "status": "voided"}, "payments_action_only_while_open"),
        ({"client_secret": "x", "closing_since": Now()}, "payments_action_only_while_open"),
    ],
)
def test_the_database_enforces_the_payment_constraints(
    changes: dict[str, object], constraint: str
) -> None:
    prepared_payment()
    prepared_payment()

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Payment.objects.update(**changes)


def charge(order_id: UUID, amount_minor: int = PRICE) -> Charge:
    return Charge(order_id, new_id(), amount_minor, "eur", "pm_card_visa")
