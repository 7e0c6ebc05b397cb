"""`neardup history` and `--as-of`, over the ports in memory."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import Mock

import pytest
from click.testing import CliRunner, Result

from neardup.cli import history, lookup
from neardup.cli.main import cli
from neardup.errors import HistoryBehindError
from neardup.testing import InMemoryClusterStore, InMemoryHeadCache, InMemoryHistory, entries_of, position_of
from query.heads import Heads
from query.similar_images import SimilarImages

STEPS = [
    ("place", "a", "a"),
    ("place", "b", "a"),
    ("place", "c", "c"),
    ("merge", "c", "a"),
    ("promote", "b", "b"),
    ("unmerge", "c", "a"),
    ("erase", "a", "a"),
]
ENTRIES = entries_of(STEPS)


@dataclass
class Ports:
    similar_images: SimilarImages
    history: InMemoryHistory


@pytest.fixture(autouse=True)
def ports(monkeypatch: pytest.MonkeyPatch) -> None:
    store, past = InMemoryClusterStore(), InMemoryHistory()
    for projection in (store, past):
        projection.apply(ENTRIES, upto=position_of(ENTRIES[-1]))
    similar = SimilarImages(
        embedder=Mock(),
        lsh=Mock(),
        search=Mock(),
        scorer=Mock(),
        store=store,
        heads=Heads(store, InMemoryHeadCache()),
        history=past,
    )

    @contextmanager
    def opened() -> Iterator[Ports]:
        yield Ports(similar, past)

    monkeypatch.setattr(history, "opened", opened)
    monkeypatch.setattr(lookup, "opened", opened)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def test_the_history_of_a_head_is_that_of_its_cluster() -> None:
    lines = [line.strip().split("  ", 2)[2] for line in run("history", "b").stdout.splitlines()]
    assert lines == [
        "a erased from cluster a, head b  [somebody: a test]",
        "cluster c taken out of a again, head c  [somebody: a test]",
        "cluster a: head b instead of a  [somebody: a test]",
        "cluster c merged into a, head a  [somebody: a test]",
        "b -> cluster a (best-match)",
        "a -> cluster a (no-candidate)",
    ]


def test_the_history_page_by_page_and_as_json() -> None:
    first = run("history", "c", "--limit", "2")
    assert [line.split()[0] for line in first.stdout.splitlines()] == ["6", "4"]
    assert first.stderr == "more: neardup history c --limit 2 --before 4\n"
    whole = json.loads(run("history", "c", "--limit", "2", "--before", "6", "--json").stdout)
    assert [entry["kind"] for entry in whole["entries"]] == ["cluster-merged", "decision"]
    assert whole["entries"][0]["actor"] == "somebody"
    assert whole["before"] is None


def test_of_nobody_there_is_nothing() -> None:
    assert run("history", "nobody").stderr == "nothing in the ledger names nobody\n"


@pytest.mark.parametrize(("seq", "head"), [(2, "a"), (4, "a"), (5, "b"), (7, "b")])
def test_heads_of_the_past(seq: int, head: str) -> None:
    assert run("head", "b", "--as-of", str(seq)).stdout == f"{head}\n"


def test_an_image_that_was_not_there_yet() -> None:
    assert run("head", "c", "--as-of", "2").exit_code == 1
    with pytest.raises(HistoryBehindError):
        run("head", "c", "--as-of", "8")


def test_members_of_the_past() -> None:
    assert run("members", "b", "--as-of", "5").stdout == "c\na\nb\n"
    assert run("members", "b", "--as-of", "5", "--newest").stdout == "c\nb\na\n"
    assert run("members", "b", "--as-of", "7").stdout == "b\n"
    page = run("members", "b", "--as-of", "5", "--newest", "--limit", "1")
    assert page.stderr == "more: neardup members b --limit 1 --newest --as-of 5 --after before-3\n"
    found = json.loads(run("members", "b", "--as-of", "6", "--json").stdout)
    assert (found["head"], found["size"], found["as_of_seq"]) == ("b", 2, 6)


def test_a_time_is_the_entries_up_to_it() -> None:
    assert run("head", "b", "--as-of", "2100-01-01T00:00:00Z").stdout == "b\n"
    assert run("head", "b", "--as-of", "2000-01-01T00:00:00Z").exit_code == 1


@pytest.mark.parametrize("text", ["yesterday", "2026-01-01T00:00:00", "-3"])
def test_a_moment_that_is_none_is_refused(text: str) -> None:
    result = run("head", "b", "--as-of", text)
    assert result.exit_code == 2
    assert "--as-of" in result.stderr
