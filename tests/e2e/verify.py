"""Everything people read must equal the ledger, folded again from its first entry."""

from collections.abc import Iterable

from neardup.cli.verification import Verification
from neardup.cli.wiring import Wiring
from neardup.clusters import ClusterState
from neardup.entries import Entry
from neardup.types import ImageId


def assert_projections_equal_ledger(wiring: Wiring, published: Iterable[ImageId]) -> ClusterState:
    """No image lost, none twice, none in two clusters; graph, index, cache and feed equal the fold of the ledger."""
    with Verification(wiring) as verification:
        state, found = verification.check()
    assert not found, "\n".join(map(str, found))
    assert {placement.image_id for placement in state.placements()} == set(published)
    last = state.seq
    expected = {placement.image_id: placement for placement in state.placements()}
    assert wiring.history.position().seq == last
    assert wiring.history.placements_at(list(expected), seq=last) == expected
    for cluster in state.clusters():
        past = wiring.history.members_at(cluster.cluster_id, seq=last, limit=10_000)
        assert past.members == state.members(cluster.cluster_id).members
    return state


def read_ledger(wiring: Wiring) -> list[Entry]:
    """Every entry."""
    with Verification(wiring) as verification:
        return verification.ledger()
