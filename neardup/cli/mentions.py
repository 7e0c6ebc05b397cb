"""What still mentions an image that was erased, and until when."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neardup.dead_letters import read_dead_letters
from neardup.topic_setup import retention_hours
from neardup.types import ImageId

if TYPE_CHECKING:
    from neardup.cli.wiring import Wiring

__all__ = ["Mention", "mentions_of"]


@dataclass(frozen=True, slots=True)
class Mention:
    """A place, and when the image goes from it, in words."""

    where: str
    until: str


def mentions_of(wiring: "Wiring", image_id: ImageId) -> list[Mention]:
    """Every place that keeps the id, or what was made of the image. Raises LogUnavailableError."""
    topics = wiring.topics
    hours = retention_hours(
        wiring.kafka,
        [topics.lsh_embeddings, topics.score_embeddings, topics.proposals, topics.requeue, topics.moves],
    )
    found = [Mention(topic, _until(kept)) for topic, kept in hours.items()]
    found += [
        Mention(topic, "until the brokers compact it (log.cleaner settings)")
        for topic in (topics.images, topics.incomplete, topics.heads)
    ]
    letters = [letter.offset for letter in read_dead_letters(wiring.kafka, topics) if letter.key == image_id.encode()]
    if letters:
        found.append(Mention(topics.dead_letters, f"for good, offsets {', '.join(map(str, letters))}"))
    return [
        *found,
        Mention(topics.ledger, "for good: its decisions, and that it was erased"),
        Mention("the history in OpenSearch", "for good: what the ledger says of it"),
        Mention(f"the graph, the cache and {topics.clusters}", "as the name of a cluster, if it was its first head"),
    ]


def _until(hours: float | None) -> str:
    return "for good" if hours is None else f"until {hours:g} hours after each message about it (retention.ms)"
