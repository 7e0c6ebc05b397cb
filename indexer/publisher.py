"""Publishes embeddings: what a producer of this service does."""

from collections.abc import Mapping

from kafka import KafkaProducer

from neardup.errors import LogUnavailableError
from neardup.kafka import Kafka, kafka_errors
from neardup.messages import EmbeddingMessage
from neardup.topics import Topics
from neardup.types import Embeddings, ImageId

__all__ = ["EmbeddingPublisher"]


class EmbeddingPublisher:
    """Sends both embeddings of an image, keyed by its id so that they meet in the same partition."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._topics = topics
        self._producer: KafkaProducer = kafka.producer(linger_ms=20)
        self._failures: list[BaseException] = []

    def publish(
        self, image_id: ImageId, embeddings: Embeddings, *, version: int = 0, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Queue both embeddings; `flush` makes them durable. Raises InvalidMessageError, and then queues neither."""
        lsh = EmbeddingMessage.create(
            image_id=image_id, version=version, embedding=embeddings.lsh, metadata=dict(metadata or {})
        )
        score = EmbeddingMessage.create(image_id=image_id, version=version, embedding=embeddings.score)
        self._send(self._topics.lsh_embeddings, lsh)
        self._send(self._topics.score_embeddings, score)

    def flush(self) -> None:
        """Return when everything queued is durable. Raises LogUnavailableError when something is not."""
        with kafka_errors("publishing embeddings"):
            self._producer.flush(timeout=60)
        if self._failures:
            raise LogUnavailableError(f"{len(self._failures)} embeddings were not published: {self._failures[0]}")

    def _send(self, topic: str, message: EmbeddingMessage) -> None:
        with kafka_errors("publishing embeddings"):
            future = self._producer.send(topic, key=message.image_id.encode(), value=message.encode())
        future.add_errback(self._failures.append)

    def close(self) -> None:
        """Close the connection."""
        self._producer.close(timeout=10)
