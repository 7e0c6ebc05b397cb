"""Index and alias names of a namespace. Names only: nothing here talks to OpenSearch."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["IndexNames", "LedgerIndexNames", "PositionNames", "namespace_prefix", "projections_index"]


@dataclass(frozen=True, slots=True)
class IndexNames:
    """Names for one namespace and lsh_version: searches use `read`, writes use `write`, both aliases of `index`."""

    namespace: str
    lsh_version: str

    @property
    def stem(self) -> str:
        """What all names of this lsh_version start with; also the name of its index template."""
        return f"{namespace_prefix(self.namespace)}{self.lsh_version}"

    @property
    def pattern(self) -> str:
        """The index names that the template applies to."""
        return f"{self.stem}-0*"

    @property
    def index(self) -> str:
        """The first index behind the aliases."""
        return f"{self.stem}-000001"

    @property
    def read(self) -> str:
        """The alias that searches go to; also the id of the position document."""
        return f"{self.stem}-read"

    @property
    def write(self) -> str:
        """The alias that writes go to."""
        return f"{self.stem}-write"


@dataclass(frozen=True, slots=True)
class LedgerIndexNames:
    """The index that the entries of a namespace's ledger can be looked up in; it outlives any lsh_version."""

    namespace: str

    @property
    def index(self) -> str:
        """The index."""
        return f"{namespace_prefix(self.namespace)}ledger"

    @property
    def read(self) -> str:
        """The id of the position document."""
        return self.index


class PositionNames(Protocol):
    """Where the position of an index is kept: in the namespace's projections index, under the id `read`."""

    @property
    def namespace(self) -> str: ...

    @property
    def read(self) -> str: ...


def namespace_prefix(namespace: str) -> str:
    """What every name of a namespace starts with. A namespace has no hyphen, so none is a prefix of another."""
    return f"{namespace}-"


def projections_index(namespace: str) -> str:
    """The small index that holds one position document for each index."""
    return f"{namespace_prefix(namespace)}projections"
