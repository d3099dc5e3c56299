"""Follows orders through the Kafka topic of events. Start it as often as you like, and kill it."""

import json
import os

from confluent_kafka import Consumer

consumer = Consumer(
    {
        "bootstrap.servers": os.environ["KAFKA_SERVERS"],
        "group.id": "follow-orders",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
consumer.subscribe(["holdfast.events"])
handled = set()  # a real reader keeps these ids in its database
while True:
    message = consumer.poll(1.0)
    if message is None or message.error():
        continue
    headers = dict(message.headers())
    event_id, event_type = headers["ce_id"].decode(), headers["ce_type"].decode()
    if event_id not in handled:
        print(event_id, message.key().decode(), event_type, json.loads(message.value()), flush=True)
        handled.add(event_id)
    consumer.commit(message, asynchronous=False)
