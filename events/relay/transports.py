"""The transports that the settings choose."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from events.relay.transport import Transport


def _redis() -> Transport:
    from events.relay.redis_stream import RedisStream  # noqa: PLC0415 - only what is chosen

    return RedisStream(
        settings.EVENT_REDIS_URL,
        settings.EVENT_CHANNEL,
        max_length=settings.EVENT_STREAM_LENGTH,
    )


def _kafka() -> Transport:
    from events.relay.kafka import KafkaTopic  # noqa: PLC0415 - only what is chosen

    return KafkaTopic(settings.EVENT_CHANNEL, kafka_options(settings.KAFKA_URL))


def kafka_options(url: str) -> dict[str, Any]:
    """Return librdkafka's options for a KAFKA_URL. Raises ImproperlyConfigured."""
    parts = urlsplit(url)
    if parts.scheme not in ("kafka", "kafkas") or not parts.netloc:
        raise ImproperlyConfigured("KAFKA_URL must be kafka://server:9092 or kafkas://server:9092")
    login, _, servers = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    is_encrypted = parts.scheme == "kafkas"
    options: dict[str, Any] = {
        "bootstrap.servers": servers,
        "security.protocol": ("SASL_" if login else "") + ("SSL" if is_encrypted else "PLAINTEXT"),
    }
    if login:
        options["sasl.mechanism"] = settings.KAFKA_SASL_MECHANISM
        options["sasl.username"], options["sasl.password"] = unquote(user), unquote(password)
    if is_encrypted and settings.KAFKA_CA_FILE:
        options["ssl.ca.location"] = settings.KAFKA_CA_FILE
    return options


_MAKERS: Final[Mapping[str, Callable[[], Transport]]] = {"redis": _redis, "kafka": _kafka}


def chosen_transports() -> list[Transport]:
    """Return a transport for each name in EVENT_TRANSPORTS. Raises ImproperlyConfigured."""
    unknown = set(settings.EVENT_TRANSPORTS) - _MAKERS.keys()
    if unknown:
        raise ImproperlyConfigured(
            f"EVENT_TRANSPORTS has {', '.join(sorted(unknown))}; known: {', '.join(_MAKERS)}"
        )
    return [_MAKERS[name]() for name in settings.EVENT_TRANSPORTS]
