"""What the tests of commands begin with."""

import pytest

from tests.unit.graph.pipeline import Pipeline, make_image
from tests.unit.graph.telling import FAR


@pytest.fixture
def world() -> Pipeline:
    """Cluster a with a, b and c; cluster z with z and y, on the other side of the circle."""
    world = Pipeline()
    world.arrive(*(make_image(name, 0) for name in "abc"), *(make_image(name, FAR) for name in "zy"))
    world.project()
    return world
