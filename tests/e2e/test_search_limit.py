"""The worker at the search limit: it goes as fast as the limit lets it, and everything is decided."""

import time

import pytest

from tests.e2e.conftest import PipelineFactory, Sample
from tests.e2e.verify import assert_projections_equal_ledger

pytestmark = pytest.mark.e2e


def test_a_worker_at_the_limit_pauses_and_loses_nothing(
    pipeline: PipelineFactory, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARDUP_SEARCH__LIMIT_PER_SECOND", "20")
    running = pipeline("searchlimit")
    lane = running.wiring.settings.search.lanes.ingest
    assert lane == 12
    ids = list(sample.embeddings)
    most = 0

    def watch() -> None:
        nonlocal most
        ingest, *_ = running.wiring.search_limiter.state()
        most = max(most, ingest.used or 0)

    begun = time.monotonic()
    running.publish(sample.embeddings)
    running.drain(between=watch)
    seconds = time.monotonic() - begun

    assert_projections_equal_ledger(running.wiring, ids)
    assert 0.7 * lane <= most <= lane
    assert (len(ids) - lane) / lane <= seconds <= 2.5 * len(ids) / lane + 15
    lines = running.log.read_text().splitlines()
    assert [line for line in lines if "search limit reached" in line and '"ingest"' in line]
    # Being at the limit is no fault, and is not told for each batch.
    assert len([line for line in lines if "search limit reached" in line]) <= seconds / 10 + 1
    assert [line for line in lines if "engine unavailable" in line and '"proposing"' in line] == []
