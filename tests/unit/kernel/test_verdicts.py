from collections.abc import Iterable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.entries import Link
from neardup.types import ImageId
from neardup.verdicts import Verdicts

NAMES = st.sampled_from("abcdefg")
LINKS: st.SearchStrategy[Link] = st.sampled_from(["must-link", "cannot-link"])
SAID = st.lists(st.tuples(LINKS, NAMES, NAMES).filter(lambda said: said[1] != said[2]), max_size=25)


def verdicts(*said: tuple[Link, str, str]) -> Verdicts:
    found = Verdicts()
    for link, a, b in said:
        found.add(link, ImageId(a), ImageId(b))
    return found


def sets_of(said: Iterable[tuple[Link, str, str]]) -> dict[str, frozenset[str]]:
    """Union-find the slow way."""
    sets = {name: frozenset([name]) for name in "abcdefg"}
    for link, a, b in said:
        if link == "must-link":
            joined = sets[a] | sets[b]
            sets |= dict.fromkeys(joined, joined)
    return sets


def test_the_chain_is_named() -> None:
    said = verdicts(("must-link", "a", "b"), ("must-link", "c", "b"))
    assert said.contradiction("cannot-link", ImageId("a"), ImageId("c")) == (
        "'a' must-link 'b', 'b' must-link 'c', so 'a' cannot-link 'c' contradicts"
    )
    assert said.contradiction("must-link", ImageId("a"), ImageId("c")) is None


def test_the_chain_through_a_new_must_link_is_named() -> None:
    said = verdicts(("must-link", "a", "b"), ("must-link", "c", "d"), ("cannot-link", "a", "d"))
    assert said.contradiction("must-link", ImageId("b"), ImageId("c")) == (
        "'a' cannot-link 'd', so 'a' must-link 'b', 'b' must-link 'c', 'c' must-link 'd' contradicts"
    )
    assert said.contradiction("must-link", ImageId("a"), ImageId("d")) == (
        "'a' cannot-link 'd', so 'a' must-link 'd' contradicts"
    )


def test_a_cannot_link_of_one_is_one_of_all_that_belong_together() -> None:
    said = verdicts(("must-link", "a", "b"), ("must-link", "c", "d"), ("cannot-link", "b", "c"))
    assert said.kept_apart_from(ImageId("a")) == {"c": "c", "d": "c"}
    assert said.kept_apart_from(ImageId("d")) == {"a": "b", "b": "b"}


@pytest.mark.parametrize("link", ["must-link", "cannot-link"])
def test_what_is_taken_back_leaves_nothing(link: Link) -> None:
    said = verdicts((link, "a", "b"))
    assert said.link(ImageId("b"), ImageId("a")) == link
    said.remove(link, ImageId("b"), ImageId("a"))
    assert said.link(ImageId("a"), ImageId("b")) is None
    assert list(said.linked(link)) == []


@given(SAID)
def test_only_verdicts_that_fit_together_hold(said: list[tuple[Link, str, str]]) -> None:
    found, accepted = Verdicts(), list[tuple[Link, str, str]]()
    for link, a, b in said:
        sets = sets_of([*accepted, (link, a, b)])
        apart = [(one, other) for kind, one, other in [*accepted, (link, a, b)] if kind == "cannot-link"]
        fits = all(other not in sets[one] for one, other in apart)
        assert (found.contradiction(link, ImageId(a), ImageId(b)) is None) == fits
        if fits:
            found.add(link, ImageId(a), ImageId(b))
            accepted.append((link, a, b))
    sets = sets_of(accepted)
    for name in "abcdefg":
        assert set(found.group(ImageId(name))) == sets[name]
    for one, other in combinations("abcdefg", 2):
        apart_by = any(
            (a in sets[one] and b in sets[other]) or (b in sets[one] and a in sets[other])
            for kind, a, b in accepted
            if kind == "cannot-link"
        )
        assert (other in found.kept_apart_from(ImageId(one))) == apart_by
