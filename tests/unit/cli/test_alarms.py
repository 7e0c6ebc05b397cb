"""The log of suspicious clusters: each once, and again when it is worse."""

from dataclasses import replace

from structlog.testing import capture_logs

from neardup.cli.alarms import look_now_and_then
from neardup.errors import SearchUnavailableError
from neardup.types import ClusterId, ClusterInfo, ImageId
from query.suspicion import Suspicion, SuspiciousClusters

INFO = ClusterInfo(cluster_id=ClusterId("c"), head=ImageId("c"), size=2000, since=1, exemplars=32)
FAST = Suspicion(cluster=INFO, joined=1500, sampled=16, score=0.9, score_bound=0.4, why=("growth",))
DRIFTED = replace(FAST, score=0.2, why=("growth", "score"))
DOUBLED = replace(DRIFTED, cluster=replace(INFO, size=4000))


class Looks(SuspiciousClusters):
    """Finds what it is told to, look by look."""

    def __init__(self, *looks: list[Suspicion] | SearchUnavailableError) -> None:
        self.left = list(looks)

    def find(self) -> list[Suspicion]:
        found = self.left.pop(0)
        if isinstance(found, SearchUnavailableError):
            raise found
        return found


def test_a_cluster_is_told_again_only_when_it_is_worse() -> None:
    looks = Looks([FAST], [FAST], SearchUnavailableError("away"), [DRIFTED], [DRIFTED], [DOUBLED], [])
    with capture_logs() as logs:
        look_now_and_then(looks, 5.0, lambda seconds: not looks.left or seconds != 5.0)
    events = [(log["event"], log.get("why"), log.get("members")) for log in logs]
    assert events == [
        ("suspicious cluster", "growth", 2000),
        ("looking for suspicious clusters failed", None, None),
        ("suspicious cluster", "growth,score", 2000),
        ("suspicious cluster", "growth,score", 4000),
    ]
    assert logs[0] == {
        "event": "suspicious cluster",
        "log_level": "warning",
        "cluster_id": "c",
        "head": "c",
        "why": "growth",
        "members": 2000,
        "joined": 1500,
        "score": 0.9,
        "score_bound": 0.4,
    }
