"""Follows orders through the Redis stream of events. Start it as often as you like, and kill it."""

import json
import os
from contextlib import suppress

import redis

STREAM, GROUP = "holdfast.events", "follow-orders"

broker = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
with suppress(redis.ResponseError):  # the group exists
    broker.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
handled = set()  # a real reader keeps these ids in its database
while True:
    # First what this reader has not acknowledged before it was killed, then what is new.
    for start in ("0", ">"):
        read = broker.xreadgroup(GROUP, "reader-1", {STREAM: start}, count=100, block=1000)
        for entry_id, entry in read[0][1] if read else ():
            event = json.loads(entry["event"])
            if event["id"] not in handled:
                print(event["id"], event["subject"], event["type"], event["data"], flush=True)
                handled.add(event["id"])
            broker.xack(STREAM, GROUP, entry_id)
