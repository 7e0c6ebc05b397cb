"""A producer that knows docs/messages.md and librdkafka, and nothing of this project.

Reads lines of JSON {"topic", "key", "value"} from standard input; a value of null is a message without one.
"""

import json
import sys

from confluent_kafka import KafkaError, Message, Producer


def main() -> None:
    failed = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(str(error))

    producer = Producer({"bootstrap.servers": sys.argv[1], "partitioner": "murmur2_random", "acks": "all"})
    for line in sys.stdin:
        message = json.loads(line)
        value = None if message["value"] is None else json.dumps(message["value"]).encode()
        producer.produce(message["topic"], key=message["key"].encode(), value=value, on_delivery=delivered)
        producer.poll(0)
    producer.flush(30)
    if failed:
        sys.exit(failed[0])


if __name__ == "__main__":
    main()
