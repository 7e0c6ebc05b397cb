from typing import Any, get_args

import pytest

from neardup.cli.asking import print_answers, succeeded
from neardup.cli.sentences import said_by, sentence_of
from neardup.entries import (
    ClusterQuarantined,
    Decision,
    Entry,
    NotMoved,
    Refused,
    Unchanged,
    Unforced,
    VerdictGiven,
    VerdictWithdrawn,
)
from neardup.testing import make_decision
from neardup.types import ClusterId, ImageId
from tests.contracts.samples import ENTRIES

SAID: dict[str, Any] = {"seq": 1, "actor": "somebody", "proposal_offset": 0, "at_ms": 1}
A, B = ImageId("a"), ImageId("b")
REFUSED = Refused(**SAID, command="promote 'a'", images=(A,), because="'a' is not an image")
UNCHANGED = Unchanged(**SAID, command="promote 'a'", images=(A,), because="'a' is the head already")
NOT_MOVED = NotMoved(**SAID, images=((A, "was forced into its cluster"), (B, "was decided again")))


def test_every_kind_has_a_sentence() -> None:
    assert {type(entry) for entry in ENTRIES} == set(get_args(Entry))
    assert all(sentence_of(entry) for entry in ENTRIES)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (make_decision(1, "b", "c", rule="forced", previous_cluster="a"), "b -> cluster c from a (forced)"),
        (VerdictGiven(**SAID, link="cannot-link", a=A, b=B), "a cannot-link b"),
        (VerdictWithdrawn(**SAID, link="must-link", a=A, b=B), "a must-link b: withdrawn"),
        (Unforced(**SAID, image_id=A), "a no longer forced"),
        (ClusterQuarantined(**SAID, cluster_id=ClusterId("a"), on=True), "cluster a quarantined"),
        (ClusterQuarantined(**SAID, cluster_id=ClusterId("a"), on=False), "cluster a no longer quarantined"),
        (NOT_MOVED, "not moved: a was forced into its cluster; b was decided again"),
        (REFUSED, "refused: promote 'a': 'a' is not an image"),
        (UNCHANGED, "no change: promote 'a': 'a' is the head already"),
    ],
)
def test_sentences_name_what_happened(entry: Entry, words: str) -> None:
    assert sentence_of(entry) == words


def test_people_are_named_with_their_reason() -> None:
    assert said_by("assigner", None) == ""
    assert said_by("ann", None) == "  [ann]"
    assert said_by("ann", "ticket 7") == "  [ann: ticket 7]"


@pytest.mark.parametrize(
    ("entries", "good"),
    [([REFUSED], False), ([NOT_MOVED], False), ([UNCHANGED], True), ([make_decision(1, "a", "a"), NOT_MOVED], True)],
)
def test_what_had_no_effect_ends_with_1(entries: list[Entry], good: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert succeeded(entries) == good
    for as_json in (True, False):
        if good:
            print_answers([entries], as_json=as_json)
        else:
            with pytest.raises(SystemExit, match="1"):
                print_answers([entries], as_json=as_json)
    told = capsys.readouterr()
    assert ("refused" in told.out) == (not good)
    assert bool(told.err) == any(not isinstance(entry, Decision | Unchanged) for entry in entries)
