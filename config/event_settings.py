"""Settings of events: how they are named, and the transports by which they leave."""

from config.celery_settings import REDIS_URL
from config.env import Section

SECTION = Section("Events")
EVENT_SOURCE = SECTION.text(
    "EVENT_SOURCE",
    "The attribute `source` of all events: this shop, such as shop.example.",
    "holdfast",
)
EVENT_TRANSPORTS = SECTION.list_of_text(
    "EVENT_TRANSPORTS", "Where the relay publishes events: redis, kafka.", ["redis"]
)
EVENT_CHANNEL = SECTION.text(
    "EVENT_CHANNEL", "The name of the Redis stream and of the Kafka topic.", "holdfast.events"
)
EVENTS_FROM_FIRST = SECTION.flag(
    "EVENTS_FROM_FIRST",
    "Whether a new transport gets all events that are kept, instead of those that come.",
    default=False,
)
EVENTS_PER_SECOND = SECTION.number(
    "EVENTS_PER_SECOND",
    "How many events each transport gets at most, also after an outage; 0 for no limit.",
    2000,
)
EVENT_STREAM_LENGTH = SECTION.number(
    "EVENT_STREAM_LENGTH", "How many events the Redis stream keeps.", 1_000_000, at_least=1
)
EVENT_REDIS_URL = (
    SECTION.address(
        "EVENT_REDIS_URL", "Another Redis for the stream than REDIS_URL.", "", is_secret=True
    )
    or REDIS_URL
)
KAFKA_URL = SECTION.address(
    "KAFKA_URL",
    "Kafka's servers: kafka://server:9092,server:9092, or kafkas:// with TLS. With a user:"
    " kafkas://user:password@server:9092.",
    "",
    is_secret=True,
)
KAFKA_SASL_MECHANISM = SECTION.text(
    "KAFKA_SASL_MECHANISM", "How that user logs in.", "SCRAM-SHA-512"
)
KAFKA_CA_FILE = SECTION.text(
    "KAFKA_CA_FILE", "The certificates of Kafka's authority; empty for those of the system.", ""
)
