"""Redaction of secrets and personal data: by shape, by name, and of our own secrets."""

from types import MappingProxyType

import pytest
from django.conf import settings
from pytest_django import Settings

from monitoring import redaction
from monitoring.redaction import LONGEST_TEXT, REDACTED, redact, redacted, shortened
from orders.saga import CHECKOUT

SECRETS = [
    ("hunter2", "cannot connect to redis://:hunter2@cache:6379/0"),
    ("hunter2", "postgres://shop:hunter2@db.internal/holdfast refused"),
    ("hun:ter/2", "amqp://shop:hun:ter/2@rabbit//"),
    ("hunter2", 'connection failed: password="hunter2" host=db'),
    ("hunter2", "{'password': 'hunter2'}"),
    ("hunter2", "DB_PASSWORD=hunter2"),
    ("hunter2", "secret: hunter2"),
    ("hunter2", "CSRF_TOKEN='hunter2'"),
    ("hunter2", "api-key=hunter2"),
    ("hunter2", "apikey: hunter2"),
    ("hunter2", "Authorization: hunter2"),
    ("hunter2", "Cookie: hunter2"),
    ("hunter2", "sessionid=hunter2"),
    ("abcdefgh.ijk", "Authorization: Bearer abcdefgh.ijk"),
    ("abcdefgh.ijk", "Token abcdefgh.ijk"),
    ("dXNlcjpwYXNz", "authorization=Basic dXNlcjpwYXNz"),
    ("sk_live_51Habcdefgh", "Invalid API Key provided: sk_live_51Habcdefgh"),
    ("rk_test_51Habcdefgh", "key rk_test_51Habcdefgh."),
    ("pk_live_51Habcdefgh", "key pk_live_51Habcdefgh"),
    ("whsec_abcdefgh12", "whsec_abcdefgh12"),
    ("secret_Zz9", "pi_3Nabc_secret_Zz9"),
    ("secret_Zz9", "seti_3Nabc_secret_Zz9"),
    ("secret_Zz9", "order_pi_3Nabc_secret_Zz9"),
    ("Zz9", "/paid?payment_intent=pi_3Nabc&payment_intent_client_secret=pi_3Nabc_secret_Zz9"),
    ("Zz9", "https://issuer.example/src_1Nabc?client_secret=src_client_secret_Zz9"),
    ("pm_1NabcDEF", "No such payment_method: 'pm_1NabcDEF'"),
    ("pm_card_visa", "pm_card_visa declined"),
    ("card_1NabcDEF", "card_1NabcDEF has expired"),
    ("src_1NabcDEF", "No such source: 'src_1NabcDEF'"),
    ("tok_1NabcDEF", "tok_1NabcDEF was used before"),
    ("cus_Nabc123", "customer cus_Nabc123"),
    ("ba_1NabcDEF", "to ba_1NabcDEF"),
    ("alice.smith+x@mail.shop.example", "mail to <alice.smith+x@mail.shop.example>"),
    ("4242424242424242", "card 4242424242424242"),
    ("4242 4242 4242 4242", "card 4242 4242 4242 4242."),
    ("3782-822463-10005", "amex 3782-822463-10005"),
    ("4222222222222", "13 digits: 4222222222222"),
    ("6304900177402924416", "19 digits: 6304900177402924416"),
    ("holdfast_0123456789abcdef0", "our holdfast_0123456789abcdef0"),
    ("a1b2" * 16, f"digest {'a1b2' * 16}"),
    ("eyJhbGciOi.eyJzdWIi.c2lnbmF0", "jwt eyJhbGciOi.eyJzdWIi.c2lnbmF0"),
    ("abc:1tGk2d:" + "Z" * 43, f"/orders/x?link=abc:1tGk2d:{'Z' * 43}"),
    ("alice", "DETAIL:  Key (username)=(alice) already exists."),
    ("alice", 'DETAIL:  Key (customer)=(alice) is not present in table "auth_user".'),
    ("alice", "DETAIL:  Key (name)=(alice) conflicts with existing key."),
    ("alice", 'DETAIL:  Failing row contains (7, alice, "x").'),
    ("alice", 'invalid input syntax for type uuid: "alice"'),
]


@pytest.mark.parametrize(("secret", "text"), SECRETS)
def test_texts_with_the_shape_of_a_secret_are_redacted(secret: str, text: str) -> None:
    result = redact(text)

    assert secret not in result
    assert REDACTED in result


@pytest.mark.parametrize(
    "rest", ["already exists.", 'is not present in table "a".', "conflicts with existing key"]
)
def test_only_the_value_that_a_constraint_refused_is_redacted(rest: str) -> None:
    assert redact(f"Key (name)=(a (b) c) {rest}") == f"Key (name)=({REDACTED}) {rest}"


@pytest.mark.parametrize(
    "text",
    [
        "lease.lost",
        "01a1fbb3-d436-762d-8018-ed3e6dacdb27",
        "pi_3Nabcdefghijk is requires_capture",
        CHECKOUT.links[0].name,
        "order 01a1fbaf-1cee-75b6-9131-b5f9939b3d5f took 1700000000000 ns",
        "4242 4242 4242 4241",  # no card number: its sum is wrong
        "redis://localhost:6379/0",
        "Invalid token.",
        "2026-11-21T01:18:39.854+00:00",
        'File "/app/orders/api/orders/views.py", line 31, in post',
        "test_a_paid_order_is_confirmed_while_its_customer_waits_for_it",
    ],
)
def test_ids_codes_and_messages_are_kept(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "name",
    [
        *("password", "passwd", "client_secret", "csrf_token", "API_KEY", "apikey"),
        *("authorization", "set-cookie", "credentials", "sentry_dsn"),
        *("email", "e_mail", "username", "user_name", "first_name", "last_name"),
        *("actor", "payment_method", "idempotency_key", "next_action"),
    ],
)
def test_fields_with_secret_names_are_redacted(name: str) -> None:
    assert redacted(name, "anything") == REDACTED
    assert redacted("outer", {name: 42}) == {name: REDACTED}


def test_numbers_booleans_and_none_are_kept() -> None:
    assert [redacted("n", value) for value in (1, 2.5, True, None)] == [1, 2.5, True, None]
    assert redacted("n", ("a", "b@c.example")) == ["a", REDACTED]


def test_names_of_fields_are_matched_whole_where_they_are_common_words() -> None:
    for name in ("actors", "payment_methods", "old_idempotency_key"):
        assert redacted(name, "anything") == "anything"


def test_keys_and_every_kind_of_collection_are_redacted() -> None:
    assert redacted("n", MappingProxyType({"b@c.example": {"b@c.example"}})) == {
        REDACTED: [REDACTED]
    }
    assert redacted("n", frozenset({"b@c.example"})) == [REDACTED]


def test_the_processs_own_secrets_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    password = str(settings.DATABASES["default"].get("PASSWORD") or "")

    assert settings.SECRET_KEY not in redact(f"<{settings.SECRET_KEY}>")
    assert not password or password not in redact(f"<{password}>")


@pytest.fixture
def own_secrets(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Secrets of this process that have the shape of no secret. One begins with another."""
    settings.SECRET_KEY = "present key"
    settings.SECRET_KEY_FALLBACKS = ["present key, formerly", "short"]
    settings.STRIPE_API_KEY = "stripe words"
    settings.REDIS_URL = "redis://:cache%20words@cache/0"
    settings.CELERY_BROKER_URL = "redis://:broker.words@broker/0"
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "database words")
    for name in ("_known_secrets", "_known_secrets_pattern"):
        monkeypatch.setattr(redaction, name, getattr(redaction, name).__wrapped__)
    return [
        *("present key", "present key, formerly", "stripe words", "database words"),
        *("cache%20words", "cache words", "broker.words"),
    ]


def test_each_of_the_processs_own_secrets_is_redacted_whole(own_secrets: list[str]) -> None:
    assert [redact(f"<{secret}>") for secret in own_secrets] == [f"<{REDACTED}>"] * 7
    assert redact("<short>") == "<short>"


def test_a_long_text_is_cut_and_shows_how_much_is_missing() -> None:
    text = "Received unregistered task of type " + "1-" * 25_000

    assert redact(text) == "Received unregistered task of type [50,001 characters cut]"
    assert redact("word " * 2_000) == "word " * 2_000
    assert redact("word " * 2_001) == "word " * 1_998 + "word [11 characters cut]"
    assert LONGEST_TEXT == 10_000


@pytest.mark.parametrize("text", ["x" * 20_000, "4242 " * 5_000, " " * 20_000])
def test_a_long_text_without_a_place_to_cut_is_dropped(text: str) -> None:
    assert redact(text) == f" [{len(text):,} characters cut]"


@pytest.mark.parametrize(("secret", "text"), SECRETS)
def test_a_cut_never_shows_a_part_of_a_secret(secret: str, text: str) -> None:
    before = "word " * 20
    whole = redact(f"{before}{text} and more")
    for at in range(len(text) + 1):
        cut = redact(shortened(f"{before}{text} and more", len(before) + at))

        kept, _, _ = cut.rpartition(" [")
        assert secret[:4] not in kept
        assert whole.startswith(kept)


def test_a_cut_never_divides_an_own_secret_with_blanks(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SECRET_KEY = "correct horse battery staple"
    monkeypatch.setattr(redaction, "_known_secrets", redaction._known_secrets.__wrapped__)
    text = f"the key is {settings.SECRET_KEY} today"

    cuts = {shortened(text, longest).rpartition(" [")[0] for longest in range(16, len(text))}

    assert cuts == {"the key", "the key is", f"the key is {settings.SECRET_KEY}"}


def test_values_beyond_the_maximum_are_left_out() -> None:
    many = redacted("n", {"first": ["a"] * 1_000, "second": ["b"] * 5_000})

    assert many["first"] == ["a"] * 1_000
    assert many["second"][:997] == ["b"] * 997
    assert many["second"][997:] == [redaction.OMITTED] * 1_003
    assert len(redacted("n", dict.fromkeys(range(5_000), 1))) == 2_000
