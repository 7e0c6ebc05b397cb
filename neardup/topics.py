"""The topics of a namespace. Names only: nothing here talks to Kafka."""

from dataclasses import dataclass

__all__ = ["Topics"]


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic and consumer group names of one namespace."""

    namespace: str

    @property
    def lsh_embeddings(self) -> str:
        """Producers write the embedding for the terms here."""
        return f"{self.namespace}.embeddings.lsh"

    @property
    def score_embeddings(self) -> str:
        """Producers write the embedding for the scorer here."""
        return f"{self.namespace}.embeddings.score"

    @property
    def images(self) -> str:
        """Joined images, compacted by image id: the source for every rebuild."""
        return f"{self.namespace}.images"

    @property
    def incomplete(self) -> str:
        """Embeddings whose partner did not come within the grace, compacted by (image id, version, side)."""
        return f"{self.namespace}.incomplete"

    @property
    def requeue(self) -> str:
        """References to images that must be searched again."""
        return f"{self.namespace}.requeue"

    @property
    def proposals(self) -> str:
        """Scored candidates and commands, one partition: the order of decisions."""
        return f"{self.namespace}.proposals"

    @property
    def ledger(self) -> str:
        """What was decided, one partition, kept for good: the truth."""
        return f"{self.namespace}.ledger"

    @property
    def heads(self) -> str:
        """The change feed, compacted: image id -> cluster, head, revision."""
        return f"{self.namespace}.heads"

    @property
    def clusters(self) -> str:
        """The change feed of whole clusters, compacted: cluster id -> root, head, revision."""
        return f"{self.namespace}.clusters"

    @property
    def moves(self) -> str:
        """Every change of the members or the head of a cluster, one partition: in the order of the ledger."""
        return f"{self.namespace}.moves"

    @property
    def standing(self) -> str:
        """What people said and what still holds, one partition, compacted: written with the ledger."""
        return f"{self.namespace}.standing"

    @property
    def dead_letters(self) -> str:
        """Messages that can never succeed, with their reason and origin."""
        return f"{self.namespace}.dead-letters"

    @property
    def replayed(self) -> str:
        """Which dead letters were replayed, compacted by their offset."""
        return f"{self.namespace}.dead-letters.replayed"

    def group(self, role: str) -> str:
        """The consumer group of a role."""
        return f"{self.namespace}.{role}"
