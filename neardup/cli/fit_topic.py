"""A sample of embeddings out of the topics of a namespace, for `neardup fit --from-topic`."""

from collections.abc import Iterator

import numpy as np

from neardup.errors import ConfigError, InvalidMessageError
from neardup.fitting.sample import Sample
from neardup.kafka import Kafka
from neardup.logs import PartitionReader
from neardup.messages import EmbeddingMessage
from neardup.topics import Topics
from neardup.types import Vector

__all__ = ["samples_of_topics"]


def samples_of_topics(kafka: Kafka, topics: Topics, *, partitions: int, rows: int) -> tuple[Sample, Sample]:
    """The embeddings for the terms and for the scorer of about `rows` images that have both in one version: the oldest
    of each partition. Messages that are not valid are left out. Raises ConfigError, LogUnavailableError."""
    sides: tuple[dict[tuple[str, int], Vector], ...] = ({}, {})
    for embeddings, topic in zip(sides, (topics.lsh_embeddings, topics.score_embeddings), strict=True):
        for partition in range(partitions):
            for message in _messages(kafka, topic, partition, limit=-(-rows // partitions)):
                embeddings[message.image_id, message.version] = message.embedding
    lsh, score = sides
    # The last version of an image that has both sides.
    keys = list(dict(sorted(lsh.keys() & score.keys())).items())
    if not keys:
        raise ConfigError(f"{topics.lsh_embeddings}: no image has both embeddings there")
    ids = tuple(image_id for image_id, _ in keys)
    return (
        Sample(name=topics.lsh_embeddings, embeddings=_stack(lsh, keys, topics.lsh_embeddings), ids=ids),
        Sample(name=topics.score_embeddings, embeddings=_stack(score, keys, topics.score_embeddings), ids=ids),
    )


def _messages(kafka: Kafka, topic: str, partition: int, *, limit: int) -> Iterator[EmbeddingMessage]:
    reader = PartitionReader(kafka, topic, partition)
    try:
        offset, given = reader.start(), 0
        while given < limit and (records := reader.read(offset, min(500, limit - given))):
            offset = records[-1].offset + 1
            for record in records:
                given += 1
                try:
                    yield EmbeddingMessage.decode(record.value)
                except InvalidMessageError:
                    continue
    finally:
        reader.close()


def _stack(embeddings: dict[tuple[str, int], Vector], keys: list[tuple[str, int]], topic: str) -> Vector:
    dimension = len(embeddings[keys[0]])
    for key in keys:
        if len(embeddings[key]) != dimension:
            raise ConfigError(
                f"{topic}: image {key[0]!r} has dimension {len(embeddings[key])}, {keys[0][0]!r} has {dimension}"
            )
    return np.stack([embeddings[key] for key in keys])
