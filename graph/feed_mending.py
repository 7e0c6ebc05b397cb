"""Mending the change feed: the newest messages are written again from the ledger."""

from collections.abc import Collection, Iterator

from graph.feed_view import FeedView
from graph.heads_feed import changes_of
from neardup.agreement import ClusterEntry, FeedEntry
from neardup.kafka import Kafka, Outgoing, RenewedProducer
from neardup.messages import ClusterChange, HeadChange
from neardup.ports import Ledger
from neardup.topics import Topics
from neardup.types import ClusterId, ImageId, Position

__all__ = ["FeedMender"]

_AT_ONCE = 1000

_Change = HeadChange | ClusterChange | None


class FeedMender:
    """Writes to both topics of the feed. Its messages have the revisions of the ledger, so consumers take them at any
    time. Not thread-safe."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._topics = topics
        self._producer = RenewedProducer(kafka.producer)

    def mend(self, ledger: Ledger, view: FeedView, image_ids: Collection[ImageId], *, upto: int) -> None:
        """Write what the entries up to `upto` come to about these images, and about every cluster, where `view` has it
        differently. A message with a revision that the ledger never gave is taken away first: consumers would prefer
        it to the right one. Raises LogUnavailableError."""
        newest = self._newest(ledger, frozenset(image_ids), upto)
        view.read_on()
        messages = [message for key, change in newest.items() for message in self._messages(*key, change, view)]
        unknown = [ImageId(i) for i in image_ids if (self._topics.heads, i) not in newest and i in view.images]
        messages += [Outgoing(self._topics.heads, image_id.encode(), None) for image_id in unknown]
        # One that a newer entry made is not unknown.
        for cluster_id, entry in view.clusters.items():
            if (self._topics.clusters, cluster_id) not in newest and entry.revision <= upto:
                messages.append(Outgoing(self._topics.clusters, cluster_id.encode(), None))
        if messages:
            self._producer.write(messages, "mending the change feed")

    def _newest(self, ledger: Ledger, image_ids: frozenset[ImageId], upto: int) -> dict[tuple[str, str], _Change]:
        found: dict[tuple[str, str], _Change] = {}
        position = Position()
        while position.seq < upto and (some := ledger.read(after=position, limit=min(_AT_ONCE, upto - position.seq))):
            for _, entry in some:
                for topic, key, change in changes_of(entry, self._topics):
                    if topic == self._topics.clusters or key in image_ids:
                        found[topic, key] = change
            position = some[-1][0]
        return found

    def _messages(self, topic: str, key: str, change: _Change, view: FeedView) -> Iterator[Outgoing]:
        known: FeedEntry | ClusterEntry | None
        known = view.images.get(ImageId(key)) if topic == self._topics.heads else view.clusters.get(ClusterId(key))
        if _entry_of(change) == known:
            return
        if known is not None and change is not None and known.revision > change.revision:
            yield Outgoing(topic, key.encode(), None)
        yield Outgoing(topic, key.encode(), None if change is None else change.encode())

    def close(self) -> None:
        """Close the connection."""
        self._producer.close()


def _entry_of(change: _Change) -> FeedEntry | ClusterEntry | None:
    match change:
        case HeadChange():
            return FeedEntry(
                segment=change.segment, cluster_id=change.cluster_id, head=change.head, revision=change.revision
            )
        case ClusterChange():
            return ClusterEntry(root=change.root, head=change.head, revision=change.revision)
        case None:
            return None
