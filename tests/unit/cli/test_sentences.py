from typing import Any, get_args

import pytest

from neardup.cli.asking import print_answers, succeeded
from neardup.cli.sentences import sentence_of
from neardup.entries import Decision, Entry, NotMoved, Refused, Unchanged
from neardup.testing import STEPS, entries_of, make_decision
from neardup.types import ImageId
from tests.contracts.samples import ENTRIES

SAID: dict[str, Any] = {"seq": 1, "actor": "somebody", "proposal_offset": 0, "at_ms": 1}
REFUSED = Refused(**SAID, command="promote 'a'", images=(ImageId("a"),), because="'a' is not an image")
UNCHANGED = Unchanged(**SAID, command="promote 'a'", images=(ImageId("a"),), because="'a' is the head already")
NOT_MOVED = NotMoved(**SAID, images=((ImageId("a"), "was forced into its cluster"),))


def test_every_kind_has_a_sentence() -> None:
    assert {type(entry) for entry in ENTRIES} == set(get_args(Entry))
    assert all(sentence_of(entry) for entry in ENTRIES)


def test_sentences_name_what_happened() -> None:
    moved = make_decision(1, "b", "c", rule="forced", previous_cluster="a")
    assert sentence_of(moved) == "b is in the cluster of c (forced), before in cluster a"
    assert sentence_of(REFUSED) == "refused: 'a' is not an image"
    assert sentence_of(NOT_MOVED) == "not moved: a was forced into its cluster"
    steps = [("place", "a", "a"), ("place", "b", "a"), *((step, "b", "a") for step in STEPS[1:])]
    assert all("{" not in sentence_of(entry) for entry in entries_of(steps))


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
