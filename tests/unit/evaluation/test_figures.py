import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.evaluation.figures import found_by_edit, judge
from neardup.types import ImageId


def ids(**values: str) -> dict[ImageId, str]:
    return {ImageId(name): value for name, value in values.items()}


def heads(**values: str) -> dict[ImageId, ImageId]:
    return {ImageId(name): ImageId(value) for name, value in values.items()}


TRUTH = ids(a="x", b="x", c="x", d="y", e="y")


def test_all_right() -> None:
    found = judge(TRUTH, heads(a="a", b="a", c="a", d="d", e="d"))
    assert (found.images, found.clusters, found.precision, found.recall, found.mixed) == (5, 2, 1.0, 1.0, ())


def test_all_in_one_cluster() -> None:
    found = judge(TRUTH, dict.fromkeys(TRUTH, ImageId("a")))
    assert (found.clusters, found.precision, found.recall, found.mixed) == (1, 0.4, 1.0, ("a",))


def test_all_alone() -> None:
    found = judge(TRUTH, heads(a="a", b="b", c="c", d="d", e="e"))
    assert (found.clusters, found.precision, found.recall, found.mixed) == (5, 1.0, 0.0, ())


def test_in_between() -> None:
    """Together: ab, dc. Right of these: ab. Wanted: ab, ac, bc, de."""
    found = judge(TRUTH, heads(a="a", b="a", c="d", d="d", e="e"))
    assert (found.precision, found.recall, found.mixed) == (0.5, 0.25, ("d",))


def test_an_image_without_head_stands_alone() -> None:
    assert judge(TRUTH, {}) == judge(TRUTH, {image_id: image_id for image_id in TRUTH})


def test_images_of_others_do_not_count() -> None:
    assert judge(ids(a="x"), heads(a="z", z="z", y="z")).images == 1


def test_nothing_to_be_wrong_about() -> None:
    found = judge({}, {})
    assert (found.images, found.precision, found.recall) == (0, 1.0, 1.0)


SOURCES = st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("pqr")), max_size=12)


@given(SOURCES)
def test_it_equals_counting_pairs(images: list[tuple[str, str]]) -> None:
    truth = {ImageId(str(number)): source for number, (source, _) in enumerate(images)}
    clusters = {ImageId(str(number)): ImageId(head) for number, (_, head) in enumerate(images)}
    pairs = [(one, other) for i, one in enumerate(images) for other in images[i + 1 :]]
    together = [one[0] == other[0] for one, other in pairs if one[1] == other[1]]
    wanted = [one[1] == other[1] for one, other in pairs if one[0] == other[0]]
    found = judge(truth, clusters)
    assert math.isclose(found.precision, sum(together) / len(together) if together else 1.0)
    assert math.isclose(found.recall, sum(wanted) / len(wanted) if wanted else 1.0)
    assert bool(found.mixed) == (found.precision < 1)


@pytest.mark.parametrize("known", [True, False])
def test_found_by_edit(known: bool) -> None:
    placed = heads(a="a", b="a", c="c") if known else {}
    edits = [("crop", "b", "a"), ("crop", "c", "a"), ("flip", "c", "a")]
    counted = found_by_edit([(edit, ImageId(one), ImageId(other)) for edit, one, other in edits], placed)
    assert counted == {"crop": (1 if known else 0, 2), "flip": (0, 1)}
