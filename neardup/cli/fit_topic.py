"""A sample of embeddings out of the topics of a namespace, for `neardup fit --from-topic`."""

from collections import Counter
from collections.abc import Iterator

import click
import numpy as np

from neardup.errors import ConfigError, InvalidMessageError
from neardup.fitting.sample import Sample
from neardup.kafka import Kafka
from neardup.logs import PartitionReader
from neardup.messages import EmbeddingMessage
from neardup.topics import Topics
from neardup.types import Vector

__all__ = ["samples_of_topics"]

Key = tuple[str, int]
"""Image id and version."""


def samples_of_topics(kafka: Kafka, topics: Topics, *, partitions: int, rows: int) -> tuple[Sample, Sample]:
    """The embeddings for the terms and for the scorer of about `rows` images that have both in one version: the oldest
    of each partition. A topic keeps mistakes, too: messages that are not valid, or of another dimension than most, are
    left out, and how many is said. Raises ConfigError, LogUnavailableError."""
    lsh, score = (
        _embeddings(kafka, topic, partitions=partitions, rows=rows)
        for topic in (topics.lsh_embeddings, topics.score_embeddings)
    )
    # Of an image the last version that has both.
    keys = list(dict(sorted(lsh.keys() & score.keys())).items())
    if not keys:
        raise ConfigError(f"{topics.lsh_embeddings}: no image has both embeddings there")
    ids = tuple(image_id for image_id, _ in keys)
    return (
        Sample(name=topics.lsh_embeddings, embeddings=np.stack([lsh[key] for key in keys]), ids=ids),
        Sample(name=topics.score_embeddings, embeddings=np.stack([score[key] for key in keys]), ids=ids),
    )


def _embeddings(kafka: Kafka, topic: str, *, partitions: int, rows: int) -> dict[Key, Vector]:
    found: dict[Key, Vector] = {}
    invalid = 0
    for partition in range(partitions):
        for message in _messages(kafka, topic, partition, limit=-(-rows // partitions)):
            if message is None:
                invalid += 1
            else:
                found[message.image_id, message.version] = message.embedding
    usual = max(Counter(map(len, found.values())).items(), key=lambda item: item[1], default=(0, 0))[0]
    kept = {key: embedding for key, embedding in found.items() if len(embedding) == usual}
    if invalid or len(kept) < len(found):
        click.echo(
            f"{topic}: left out {invalid} messages that are not valid and {len(found) - len(kept)} images of another "
            f"dimension than {usual}",
            err=True,
        )
    return kept


def _messages(kafka: Kafka, topic: str, partition: int, *, limit: int) -> Iterator[EmbeddingMessage | None]:
    """The first messages of a partition; None for one that is not valid."""
    reader = PartitionReader(kafka, topic, partition)
    try:
        offset, given = reader.start(), 0
        while given < limit and (records := reader.read(offset, min(500, limit - given))):
            offset = records[-1].offset + 1
            given += len(records)
            for record in records:
                try:
                    yield EmbeddingMessage.decode(record.value)
                except InvalidMessageError:
                    yield None
    finally:
        reader.close()
