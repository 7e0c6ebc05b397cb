"""Every port in memory, for tests and for trying things out; tests/contracts holds them to what the engines do."""

from neardup.testing.clock import FakeClock
from neardup.testing.decisions import ledger_of, make_decision, position_of
from neardup.testing.embedder import DigestEmbedder
from neardup.testing.index import InMemoryIndex
from neardup.testing.limiter import InMemorySearchLimiter
from neardup.testing.logs import InMemoryLedger, InMemoryLedgerWriter, InMemoryProposalLog
from neardup.testing.scorer import CosineScorer
from neardup.testing.stores import InMemoryClusterStore, InMemoryHeadCache

__all__ = [
    "CosineScorer",
    "DigestEmbedder",
    "FakeClock",
    "InMemoryClusterStore",
    "InMemoryHeadCache",
    "InMemoryIndex",
    "InMemoryLedger",
    "InMemoryLedgerWriter",
    "InMemoryProposalLog",
    "InMemorySearchLimiter",
    "ledger_of",
    "make_decision",
    "position_of",
]
