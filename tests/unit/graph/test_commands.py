"""What every command has in common, on the real assigner over the ports in memory."""

from neardup.commands import Force, Merge, Promote, Quarantine, Unmerge
from neardup.entries import Refused
from neardup.types import ImageId
from tests.unit.graph.pipeline import Pipeline, clusters_of, make_image
from tests.unit.graph.telling import A, B, X, Z, clusters, only, refused, verdict


def test_every_entry_says_who_why_and_what_it_answers(world: Pipeline) -> None:
    (entry,) = world.tell(Promote(image_id=B))
    assert (entry.actor, entry.reason, entry.at_ms) == ("somebody", "a test", 1_800_000_000_001)
    assert (entry.seq, entry.proposal_offset) == (6, 5)
    assert entry.command_id is not None


def test_what_is_not_there_is_said_so(world: Pipeline) -> None:
    for body in (
        Force(image_id=X, into=A),
        verdict("must-link", "a", "x"),
        Promote(image_id=X),
    ):
        assert refused(world, body) == "'x' is not an image of this namespace"
    for other in (
        Force(image_id=A, into=X),
        Merge(source=X, target=A),
        Unmerge(cluster=X),
        Quarantine(cluster=X, on=True),
    ):
        assert refused(world, other) == "'x' is neither an image nor a cluster of this namespace"


def test_a_refusal_says_what_was_asked(world: Pipeline) -> None:
    entry = only(world.tell(Force(image_id=X, into=A)), Refused)
    assert (entry.command, entry.images) == ("force 'x' into the cluster of 'a'", ("x", "a"))


def test_a_command_delivered_again_has_no_second_effect(world: Pipeline) -> None:
    command = world.command(Force(image_id=B, into=Z))
    world.command(Force(image_id=B, into=A))
    world.proposals.append([command])
    world.decide(100)
    world.project()
    assert [decision.cluster_id for decision in world.decisions[5:]] == ["z", "a"]
    world.restart()
    world.proposals.append([command])
    world.decide(100)
    assert len(world.entries) == 7
    assert world.waiting == 0


def test_commands_and_proposals_are_answered_in_one_order(world: Pipeline) -> None:
    """The graph is behind all the time; what commands did is known all the same."""
    world.propose(make_image("n", 0))
    world.command(Merge(source=A, target=Z))
    world.propose(make_image("m", 0))
    world.command(Promote(image_id=ImageId("m")))
    world.propose(make_image("o", 0))
    world.decide(100)
    last = world.decisions[-1]
    assert (last.image_id, last.cluster_id, last.head) == ("o", "z", "m")
    world.project()
    assert clusters(world) == {"m": "abcnzymo"}
    assert clusters_of(world.entries) == {frozenset("abcnzymo")}
