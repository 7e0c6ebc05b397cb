"""A state machine over everything that changes clusters: images, commands, lags, crashes; and what must hold always."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from neardup.clusters import ClusterState
from neardup.commands import (
    CommandBody,
    Erase,
    Force,
    Merge,
    Move,
    Promote,
    Quarantine,
    Unforce,
    Unmerge,
    Verdict,
    Withdraw,
)
from neardup.entries import ClusterUnmerged, Decision, ImageErased
from neardup.ports import ClusterStore
from neardup.rollback import plan_back_to, plan_without
from neardup.standing import ForcedImage, PairVerdict, fold
from neardup.testing import InMemoryClusterStore
from neardup.types import ImageId
from tests.unit.graph.pipeline import ERASE_KEY, Pipeline, make_image
from tests.unit.graph.rolling_back import MakePlan, check_back_to, check_changes, roll_back

NAMES = [ImageId(name) for name in "abcdefgh"]
IDS = st.sampled_from(NAMES)
COUNT = st.integers(1, 4)
SENT = st.sampled_from([0, 1, 2, 1000])
LARGEST = st.sampled_from([1, 2, 1000])
PLACES = st.sampled_from([0, 0, 0, 1, 3, 5, 12, 12, 12, 13, 15, 18])
"""Two crowds, and a few images between them."""


def bodies() -> st.SearchStrategy[CommandBody]:
    """Commands of every kind about a few images; moves are drawn by the machine, which knows the seqs."""
    links = st.sampled_from(["must-link", "cannot-link"])
    often = st.one_of(
        st.builds(Force, image_id=IDS, into=IDS),
        st.builds(Unforce, image_id=IDS),
        st.builds(Verdict, link=links, a=IDS, b=IDS),
        st.builds(Withdraw, a=IDS, b=IDS),
        st.builds(Merge, source=IDS, target=IDS),
        st.builds(Unmerge, cluster=IDS),
        st.builds(Promote, image_id=IDS),
    )
    seldom = st.one_of(st.builds(Erase, image_id=IDS), st.builds(Quarantine, cluster=IDS, on=st.booleans()))
    return st.one_of(often, often, often, seldom)


class Clusters(RuleBasedStateMachine):
    """The pipeline in the hands of chance."""

    commands: Bundle[Any] = Bundle("commands")
    points: Bundle[int] = Bundle("points")

    def make_store(self) -> ClusterStore:
        """The graph under test."""
        return InMemoryClusterStore()

    @initialize(
        window=st.sampled_from([3, 1000]),
        exemplars=st.sampled_from([1, 32]),
        steps=st.lists(PLACES, min_size=6, max_size=6),
    )
    def begin(self, window: int, exemplars: int, steps: list[int]) -> None:
        self.window = window
        self.exemplars = exemplars
        self.world = Pipeline(window=window, enough_exemplars=exemplars, store=self.make_store())
        self.versions = dict.fromkeys(NAMES, 0)
        for name, step in zip(NAMES, steps, strict=False):
            self.world.arrive(make_image(name, step, version=0))
        self.world.project()

    @rule(name=IDS, step=PLACES)
    def image(self, name: ImageId, step: int) -> None:
        self.versions[name] += 1
        self.world.propose(make_image(name, step, version=self.versions[name]))

    @rule(step=PLACES)
    def the_only_exemplar_goes(self, step: int) -> None:
        """A new version of it, which may belong elsewhere; as a head it would stay."""
        self.world.settle()
        placements = list(ClusterState(self.world.entries).placements())
        for one in placements:
            others = [other for other in placements if other.cluster_id == one.cluster_id and other is not one]
            if one.indexed and others and not any(other.indexed for other in others):
                if one.image_id == one.head:
                    self.world.tell(Promote(image_id=others[0].image_id))
                self.image(one.image_id, step)
                return

    @rule(target=commands, body=bodies())
    def command(self, body: CommandBody) -> Any:
        return self.world.command(body)

    @rule(body=bodies())
    def command_at_once(self, body: CommandBody) -> None:
        self.world.tell(body)

    @rule(command=commands)
    def deliver_again(self, command: Any) -> None:
        self.world.proposals.append([command])

    @rule(
        names=st.lists(IDS, min_size=1, max_size=4, unique=True),
        to=st.sampled_from(["cluster", "own", "each"]),
        into=IDS,
        stale=st.booleans(),
    )
    def move(self, names: list[ImageId], to: Any, into: ImageId, stale: bool) -> None:
        placements = self.world.store.placements(names)
        images = tuple((name, placements[name].seq - stale if name in placements else 1) for name in names)
        self.world.command(Move(images=images, to=to, into=into if to == "cluster" else None))

    @rule(count=COUNT)
    def decide(self, count: int) -> None:
        self.world.decide(count)

    @rule(count=COUNT)
    def graph_catches_up(self, count: int) -> None:
        self.world.project_graph(count)

    @rule(count=COUNT)
    def index_catches_up(self, count: int) -> None:
        self.world.project_index(count)

    @rule()
    def search_again(self) -> None:
        self.world.search_again()

    @rule()
    def crash(self) -> None:
        self.world.restart()

    @rule(target=points)
    def remember(self) -> int:
        return len(self.world.entries)

    @rule(point=points, sent=SENT, largest=LARGEST)
    def roll_back_to(self, point: int, sent: int, largest: int) -> None:
        self.world.settle()
        plan, entries = roll_back(self.world, lambda ledger: plan_back_to(ledger, point, largest=largest), sent=sent)
        after = ClusterState(self.world.entries)
        check_changes(plan, ClusterState(entries), after)
        check_back_to(plan, point, entries, after)

    @rule(point=points, name=IDS, sent=SENT, largest=LARGEST)
    def roll_back_one_cluster(self, point: int, name: ImageId, sent: int, largest: int) -> None:
        self.world.settle()
        placement = ClusterState(self.world.entries).placement(name)
        if placement is not None:
            cluster = placement.cluster_id
            self.undo(lambda ledger: plan_back_to(ledger, point, cluster=cluster, largest=largest), sent)

    @rule(seqs=st.sets(st.integers(1, 40), min_size=1, max_size=6), sent=SENT, largest=LARGEST)
    def undo_decisions(self, seqs: set[int], sent: int, largest: int) -> None:
        """One decision, or those of a version of the model or of images: what they have in common is a condition."""
        self.world.settle()
        self.undo(lambda ledger: plan_without(ledger, lambda one: one.seq in seqs, largest=largest), sent)

    @rule(point=points)
    def roll_back_while_others_decide(self, point: int) -> None:
        """Nobody waits for anybody: what was decided meanwhile stays."""
        for body in plan_back_to(self.world.entries, point).commands:
            self.world.command(body)

    def undo(self, make_plan: MakePlan, sent: int) -> None:
        plan, entries = roll_back(self.world, make_plan, sent=sent)
        check_changes(plan, ClusterState(entries), ClusterState(self.world.entries))

    @invariant()
    def standing_words_are_the_ledger_folded(self) -> None:
        if hasattr(self, "world"):
            expected = fold(self.world.entries, erase_key=ERASE_KEY.key)
            words = dict(self.world.standing.words)
            del words['["erase-key"]']
            assert words == expected

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.settle()
        self.check_projections()
        self.check_what_people_said()
        self.check_replay()

    def check_projections(self) -> None:
        """Always a partition; graph, cache and index are the ledger folded."""
        world, state = self.world, ClusterState(self.world.entries)
        expected = {placement.image_id: placement for placement in state.placements()}
        members = [m.image_id for info in state.clusters() for m in state.members(info.cluster_id).members]
        assert sorted(members) == sorted(expected)
        assert {placement.image_id: placement for placement in world.store.placements_all()} == expected
        assert world.store.placements(NAMES) == expected
        assert world.cache.placements(NAMES) == expected
        for info in state.clusters():
            assert info.head in {member.image_id for member in state.members(info.cluster_id).members}
            assert world.store.clusters([info.cluster_id]) == {info.cluster_id: info}
            assert world.store.members(info.cluster_id).members == state.members(info.cluster_id).members
            assert world.store.segments(info.cluster_id) == state.segments(info.cluster_id)
        if not any(isinstance(entry, ClusterUnmerged) for entry in world.entries):
            assert all(info.exemplars > 0 for info in state.clusters())
        indexed = {name: (image.seq, image.searchable) for name, image in world.index.images(NAMES).items()}
        assert indexed == {name: (placement.seq, placement.indexed) for name, placement in expected.items()}
        decided: dict[ImageId, int] = {}
        for entry in world.entries:
            if isinstance(entry, Decision):
                assert entry.previous_seq == decided.get(entry.image_id)
                decided[entry.image_id] = entry.seq

    def check_what_people_said(self) -> None:
        """Verdicts and forces hold, whatever came after them; erased images are gone."""
        world, state = self.world, ClusterState(self.world.entries)
        for word in world.standing.words.values():
            if isinstance(word, PairVerdict):
                a, b = state.placement(word.a), state.placement(word.b)
                assert a is not None
                assert b is not None
                assert (a.cluster_id == b.cluster_id) == (word.link == "must-link")
            if isinstance(word, ForcedImage):
                moves = [
                    entry for entry in world.entries if isinstance(entry, Decision) and entry.image_id == word.image_id
                ]
                last = max(i for i, entry in enumerate(moves) if entry.rule == "forced" and entry.command_id)
                assert all(entry.previous_cluster is None for entry in moves[last + 1 :])
        erased = {entry.image_id for entry in world.entries if isinstance(entry, ImageErased)}
        for name in erased:
            assert state.placement(name) is None
            assert world.standing.is_erased(name)

    def check_replay(self) -> None:
        """The same requests give the same ledger, whoever answers them and in what batches."""
        again = Pipeline(window=self.window, enough_exemplars=self.exemplars, proposals=self.world.proposals)
        target = 3
        while again.waiting:
            while again.waiting and again.next_offset < target:
                # What a recorded search covered was in the index: it is in this one too, before that is decided.
                again.project()
                again.decide(1)
            if again.waiting:
                # It goes back to the last answered request.
                again.restart()
                target += 3
        assert again.entries == self.world.entries
        assert again.ledger.changes == self.world.ledger.changes
