"""Values that several contracts need."""

from typing import Any

import numpy as np

from neardup.entries import (
    ClusterMerged,
    ClusterQuarantined,
    ClusterUnmerged,
    Entry,
    HeadChanged,
    ImageErased,
    NotMoved,
    Refused,
    Unchanged,
    Unforced,
    VerdictGiven,
    VerdictWithdrawn,
)
from neardup.testing import make_decision
from neardup.types import ClusterId, ImageId, Match, Proposal, Source

_SAID: dict[str, Any] = {
    "seq": 1,
    "actor": "Jemand",
    "reason": "weil",
    "command_id": "6f1e3a52-4b7e-4a63-9d7a-0f5c5d4f1b11",
    "proposal_offset": 2**40,
    "at_ms": 1_700_000_000_000,
}
_A, _B, _C, _D = ImageId("a"), ImageId("b"), ClusterId("c"), ClusterId("d")
ENTRIES: list[Entry] = [
    make_decision(1, "a", "c", evidence=None, rule="forced", segment=_D, previous_seq=7),
    HeadChanged(**_SAID, cluster_id=_C, head=_A, previous_head=_B),
    ClusterMerged(**_SAID, cluster_id=_C, into=_D, head=_A, segments=(ClusterId("x"), _C)),
    ClusterUnmerged(**_SAID, cluster_id=_C, out_of=_D, head=_A, segments=(ClusterId("x"), _C)),
    VerdictGiven(**_SAID, link="must-link", a=_A, b=_B),
    VerdictWithdrawn(**_SAID, link="cannot-link", a=_A, b=_B),
    Unforced(**_SAID, image_id=_A),
    ImageErased(**_SAID, image_id=_A, cluster_id=None, head=None, previous_seq=None),
    ClusterQuarantined(**_SAID, cluster_id=_C, on=True),
    NotMoved(**_SAID, images=((_A, "why"), (_B, "why not"))),
    Unchanged(**_SAID, command="words", images=(_A,), because="so"),
    Refused(**_SAID, command="words", images=(_A, _B), because="so"),
]
"""One entry of every kind."""


def make_proposal(image_id: str, **changes: Any) -> Proposal:
    """A proposal with plain values wherever `changes` says nothing."""
    values: dict[str, Any] = {
        "version": 1,
        "run": 0,
        "query": np.arange(8, dtype=np.uint16).reshape(4, 2),
        "score": np.array([0.5, -1.0, 0.25], dtype=np.float16),
        "metadata": {"source": "test"},
        "searched_seq": 7,
        "candidate_limit": 200,
        "cutoff_overlap": 0,
        "matches": (Match(image_id=ImageId("m"), overlap=3, score=0.1 + 0.2),),
        "match_threshold": 0.5,
        "witness_bound": 0.45,
        "head_bound": 0.4,
        "lsh_version": "0123456789ab",
        "model_version": 1,
        "source": Source(topic="test.images", partition=0, offset=1),
        "at_ms": 1_700_000_000_000,
    }
    return Proposal(image_id=ImageId(image_id), **(values | changes))
