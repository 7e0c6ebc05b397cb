import inspect
import re

import pytest

from neardup import errors
from neardup.errors import REACTIONS, InvalidMessageError, NearDupError, reaction

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, NearDupError)]

EXPECTED = {
    "ConfigError": "exit-2",
    "InvalidMessageError": "dead-letter",
    "InvalidImageError": "dead-letter",
    "UnavailableError": "back-off",
    "LogUnavailableError": "back-off",
    "HistoryBehindError": "back-off",
    "SearchUnavailableError": "back-off",
    "ScorerUnavailableError": "back-off",
    "ClusterStoreUnavailableError": "back-off",
    "CacheBehindError": "back-off",
    "CacheUnavailableError": "back-off",
    "RateLimitedError": "back-off",
    "UnknownImageError": "answer",
    "InvalidCursorError": "answer",
    "ClusterConflictError": "decide-again",
    "FencedError": "restart",
    "IncompatibleIndexError": "stop",
}


def tree_of_the_docstring() -> dict[str, str]:
    """Class -> parent, read from the drawing."""
    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^( {4}[│├└─ ]*)([A-Z]\w+Error)\b", line)
        if found:
            depth = len(found[1])
            above = {at: name for at, name in above.items() if at < depth} | {depth: found[2]}
            if len(above) > 1:
                parents[found[2]] = above[sorted(above)[-2]]
    return parents


def test_the_drawing_is_the_truth() -> None:
    classes = {cls.__name__: cls.__mro__[1].__name__ for cls in CLASSES if cls is not NearDupError}
    assert tree_of_the_docstring() == classes


def test_every_error_has_a_reaction_of_its_own_or_its_family() -> None:
    found = {}
    for cls in CLASSES:
        if cls is not NearDupError:
            assert any(family in REACTIONS for family in cls.__mro__), cls
            found[cls.__name__] = reaction(cls("reason"))
    assert found == EXPECTED


def test_every_family_stands_directly_below_the_root() -> None:
    assert all(family.__mro__[1] is NearDupError for family in REACTIONS)


def test_an_error_of_no_family_stops() -> None:
    assert reaction(NearDupError("?")) == "stop"


def test_everything_is_exported() -> None:
    assert {cls.__name__ for cls in CLASSES} <= set(errors.__all__)


@pytest.mark.parametrize(("field", "text"), [("version", "version: is negative"), (None, "is negative")])
def test_an_invalid_message_names_its_field(field: str | None, text: str) -> None:
    error = InvalidMessageError("is negative", field=field)
    assert (str(error), error.reason, error.field) == (text, "is negative", field)
