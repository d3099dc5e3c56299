"""Runs librdkafka's mock cluster until its input ends, and prints its brokers' addresses."""

import signal
import sys

from confluent_kafka import Producer

from sandbox.process_lifetime import die_with_owner

if __name__ == "__main__":
    die_with_owner(signal.SIGKILL)
    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 3, "log_level": 3})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    sys.stdout.write(",".join(f"{broker.host}:{broker.port}" for broker in brokers) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
