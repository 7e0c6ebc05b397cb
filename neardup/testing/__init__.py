"""Every port in memory, for tests and for trying things out; tests/contracts holds them to what the engines do."""

from neardup.testing.clock import FakeClock
from neardup.testing.decisions import STEPS, entries_of, ledger_of, make_decision, position_of
from neardup.testing.embedder import DigestEmbedder
from neardup.testing.history import InMemoryHistory
from neardup.testing.index import InMemoryIndex
from neardup.testing.limiter import InMemorySearchLimiter
from neardup.testing.logs import InMemoryLedger, InMemoryLedgerWriter, InMemoryProposalLog, InMemoryStandingLog
from neardup.testing.scorer import CosineScorer
from neardup.testing.stores import InMemoryClusterStore, InMemoryHeadCache

__all__ = [
    "STEPS",
    "CosineScorer",
    "DigestEmbedder",
    "FakeClock",
    "InMemoryClusterStore",
    "InMemoryHeadCache",
    "InMemoryHistory",
    "InMemoryIndex",
    "InMemoryLedger",
    "InMemoryLedgerWriter",
    "InMemoryProposalLog",
    "InMemorySearchLimiter",
    "InMemoryStandingLog",
    "entries_of",
    "ledger_of",
    "make_decision",
    "position_of",
]
