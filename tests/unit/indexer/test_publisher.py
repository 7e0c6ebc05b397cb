from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from indexer.publisher import EmbeddingPublisher
from neardup.errors import InvalidMessageError, LogUnavailableError
from neardup.kafka import Kafka
from neardup.messages import EmbeddingMessage
from neardup.topics import Topics
from neardup.types import Embeddings, ImageId

EMBEDDINGS = Embeddings(lsh=np.array([1, 2], np.float32), score=np.array([3], np.float32))


class Future:
    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def add_errback(self, call: Callable[[Exception], None]) -> None:
        if self._error is not None:
            call(self._error)


class Producer:
    """Keeps what it is given; no broker is needed to see what would be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes]] = []
        self.error: Exception | None = None
        self.flushed = 0

    def send(self, topic: str, *, key: bytes, value: bytes) -> Future:
        self.sent.append((topic, key, value))
        return Future(self.error)

    def flush(self, timeout: float) -> None:
        self.flushed += 1


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def publisher(producer: Producer) -> EmbeddingPublisher:
    class Cluster:
        def producer(self, **_: Any) -> Producer:
            return producer

    return EmbeddingPublisher(cast("Kafka", Cluster()), Topics("n"))


def test_both_sides_go_under_one_key(publisher: EmbeddingPublisher, producer: Producer) -> None:
    publisher.publish(ImageId("bü"), EMBEDDINGS, version=7, metadata={"k": "v"})
    publisher.flush()
    (lsh_topic, lsh_key, lsh), (score_topic, score_key, score) = producer.sent
    assert (lsh_topic, score_topic) == ("n.embeddings.lsh", "n.embeddings.score")
    assert lsh_key == score_key == "bü".encode()
    first, second = EmbeddingMessage.decode(lsh), EmbeddingMessage.decode(score)
    assert (first.image_id, first.version) == (second.image_id, second.version) == ("bü", 7)
    assert (first.embedding.tolist(), second.embedding.tolist()) == ([1, 2], [3])
    assert (first.metadata, producer.flushed) == ({"k": "v"}, 1)


@pytest.mark.parametrize(
    ("image_id", "metadata", "field"),
    [("", {}, "image_id"), ("a\udc80", {}, "image_id"), ("a", {"Upper": "x"}, "metadata.Upper")],
)
def test_bad_values_are_refused_before_anything_is_sent(
    publisher: EmbeddingPublisher, producer: Producer, image_id: str, metadata: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        publisher.publish(ImageId(image_id), EMBEDDINGS, metadata=metadata)
    assert (caught.value.field or "").startswith(field)
    assert producer.sent == []


def test_what_was_not_published_is_told(publisher: EmbeddingPublisher, producer: Producer) -> None:
    producer.error = TimeoutError("no answer")
    publisher.publish(ImageId("a"), EMBEDDINGS)
    with pytest.raises(LogUnavailableError, match="2 embeddings were not published: no answer"):
        publisher.flush()
