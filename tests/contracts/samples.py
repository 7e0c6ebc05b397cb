"""Values that several contracts need."""

from typing import Any

import numpy as np

from neardup.types import ImageId, Match, Proposal, Source


def make_proposal(image_id: str, **changes: Any) -> Proposal:
    """A proposal with plain values wherever `changes` says nothing."""
    values: dict[str, Any] = {
        "version": 1,
        "run": 0,
        "query": np.arange(8, dtype=np.uint16).reshape(4, 2),
        "score": np.array([0.5, -1.0, 0.25], dtype=np.float32),
        "metadata": {"source": "test"},
        "searched_seq": 7,
        "candidate_limit": 200,
        "matches": (Match(image_id=ImageId("m"), overlap=3, score=0.1 + 0.2),),
        "match_threshold": 0.5,
        "head_bound": 0.4,
        "lsh_version": "0123456789ab",
        "model_version": 1,
        "source": Source(topic="test.images", partition=0, offset=1),
        "at_ms": 1_700_000_000_000,
    }
    return Proposal(image_id=ImageId(image_id), **(values | changes))
