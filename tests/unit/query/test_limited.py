from collections.abc import Sequence

import pytest

from neardup.errors import RateLimitedError
from neardup.lanes import Lane, LaneLimits
from neardup.testing import FakeClock, InMemoryIndex, InMemorySearchLimiter
from neardup.types import CandidateList, ImageId, LshTerm, Position, Probe
from query.limited import LimitedSearch

LIMITS = LaneLimits(ingest=80, interactive=8, reprocess=8, processes=1)


class Search(InMemoryIndex):
    """Notes how many probes came when; the number of documents in an answer tells its probe."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.began = clock.now_ms()
        self.parts: list[tuple[int, int]] = []

    def search(self, probes: Sequence[Probe], *, limit: int, minimum_overlap: int = 1) -> list[CandidateList]:
        self.parts.append((self._clock.now_ms() - self.began, len(probes)))
        return [CandidateList.of((), searched_documents=int(probe.terms[0])) for probe in probes]


def probes(count: int) -> list[Probe]:
    return [Probe(terms=(LshTerm(str(at)),)) for at in range(count)]


def make(lane: Lane, *, patience_seconds: float = 10.0) -> tuple[LimitedSearch, Search]:
    clock = FakeClock()
    search, limiter = Search(clock), InMemorySearchLimiter(LIMITS, clock)
    return LimitedSearch(search, limiter, lane, clock=clock, patience_seconds=patience_seconds), search


def test_probes_go_out_in_parts_and_answers_stay_in_order() -> None:
    limited, search = make("ingest")
    answers = limited.search(probes(34), limit=200)
    assert [answer.searched_documents for answer in answers] == list(range(34))
    assert search.parts == [(0, 10), (0, 10), (0, 10), (0, 4)]


def test_a_part_is_not_more_than_the_search_sends_at_once() -> None:
    limited, search = make("ingest")
    limited.search(probes(7), limit=2500)
    assert [count for _, count in search.parts] == [3, 3, 1]


def test_later_parts_are_waited_for() -> None:
    limited, search = make("ingest")
    limited.search(probes(100), limit=200)
    assert search.parts == [(0, 10)] * 8 + [(1050, 10)] * 2


def test_a_refused_first_part_raises_at_once() -> None:
    limited, search = make("interactive")
    for at in range(8):
        limited.search(probes(1), limit=200)
        assert len(search.parts) == at + 1
    told = r"search limit reached \(lane interactive\): retry after 1.05 s"
    with pytest.raises(RateLimitedError, match=told) as caught:
        limited.search(probes(1), limit=200)
    assert caught.value.retry_after_seconds == pytest.approx(1.05)
    assert len(search.parts) == 8


def test_patience_ends() -> None:
    limited, search = make("interactive", patience_seconds=3.0)
    with pytest.raises(RateLimitedError):
        limited.search(probes(30), limit=200)
    assert [moment for moment, _ in search.parts] == [0] * 8 + [1050] * 8 + [2100] * 8


def test_no_probes_need_no_permit() -> None:
    limited, _ = make("interactive")
    assert limited.search([], limit=200) == []


def test_images_and_position_are_free() -> None:
    limited, _ = make("interactive")
    for _ in range(30):
        assert limited.images([ImageId("a")]) == {}
        assert limited.position() == Position()
