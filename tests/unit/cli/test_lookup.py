import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from neardup.cli import clusters, explain, lookup
from neardup.cli.main import cli
from neardup.errors import InvalidCursorError, InvalidImageError, RateLimitedError, UnknownImageError
from neardup.lsh import LshModel
from neardup.messages import half
from neardup.settings import Settings, load_settings
from neardup.testing import (
    CosineScorer,
    DigestEmbedder,
    InMemoryClusterStore,
    InMemoryHeadCache,
    InMemoryHistory,
    InMemoryIndex,
    ledger_of,
    position_of,
)
from neardup.types import ClusterId, ImageId, IndexedImage, Page, SearchFilter
from query.heads import Heads
from query.similar_images import Lookup, SimilarImages

EMBEDDER = DigestEmbedder()
LSH = LshModel(dimension=EMBEDDER.lsh_dimension, embedding_version=EMBEDDER.version, tables=8, bits_per_table=8)
DECISIONS = ledger_of([("a", "a"), ("b", "a"), ("c", "a"), ('odd, "id"', 'odd, "id"')])
DATA = {"a": b"photo", "b": b"photo", "c": b"photo", 'odd, "id"': b"odd"}


@dataclass
class Ports:
    store: InMemoryClusterStore
    similar_images: SimilarImages
    settings: Settings = field(default_factory=load_settings)


@pytest.fixture(autouse=True)
def ports(monkeypatch: pytest.MonkeyPatch) -> Ports:
    store, index = InMemoryClusterStore(), InMemoryIndex()
    store.apply(DECISIONS, upto=position_of(DECISIONS[-1]))
    for decision in DECISIONS:
        embeddings = EMBEDDER.embed(DATA[decision.image_id])
        image = IndexedImage(
            image_id=decision.image_id,
            version=1,
            seq=decision.seq,
            code=LSH.codes(embeddings.lsh[None, :])[0],
            score=half(embeddings.score),
            metadata={"tenant": f"tenant of {decision.image_id}"},
            searchable=decision.indexed,
        )
        index.apply([image], [], upto=position_of(decision))
    similar = SimilarImages(
        embedder=EMBEDDER,
        lsh=LSH,
        search=index,
        scorer=CosineScorer(),
        store=store,
        heads=Heads(store, InMemoryHeadCache()),
        history=InMemoryHistory(),
    )

    ports = Ports(store, similar)

    @contextmanager
    def opened() -> Iterator[Ports]:
        yield ports

    monkeypatch.setattr(clusters, "opened", opened)
    monkeypatch.setattr(lookup, "opened", opened)
    monkeypatch.setattr(explain, "opened", opened)
    return ports


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def test_head() -> None:
    result = run("head", "b")
    assert (result.exit_code, result.stdout) == (0, "a\n")
    assert run_json("head", "b") == {"image_id": "b", "head": "a", "cluster_id": "a", "version": 1, "seq": 2}


def test_the_head_of_an_unknown_image() -> None:
    result = run("head", "nobody")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "nobody: not an image of this namespace\n")
    result = run("head", "nobody", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"image_id": "nobody", "head": None})


def test_members_page_by_page() -> None:
    first = run("members", "b", "--limit", "2")
    assert first.stdout == "a\nb\n"
    page = run_json("members", "b", "--limit", "2")
    cursor = page.pop("after")
    assert first.stderr == f"more: neardup members b --limit 2 --after {cursor}\n"
    assert run("members", "b", "--limit", "2", "--after", cursor).stdout == "c\n"
    assert page == {
        "cluster_id": "a",
        "head": "a",
        "size": 3,
        "exemplars": 2,
        "members": [{"image_id": "a", "seq": 1}, {"image_id": "b", "seq": 2}],
    }
    assert run_json("members", "a")["after"] is None


@pytest.mark.parametrize("arguments", [("--limit", "0"), ("--limit", "10001")])
def test_pages_have_bounds(arguments: tuple[str, str]) -> None:
    assert run("members", "a", *arguments).exit_code == 2


def test_a_cursor_of_nothing_is_said_so() -> None:
    with pytest.raises(InvalidCursorError, match="after: '7' is not a cursor"):
        run("members", "a", "--after", "7")


def test_the_members_of_nobody() -> None:
    with pytest.raises(UnknownImageError, match="'nobody'"):
        run("members", "nobody")


def test_export() -> None:
    rows = list(csv.reader(StringIO(run("clusters", "export").stdout)))
    assert rows == [["image_id", "head"], *([name, "a"] for name in "abc"), ['odd, "id"', 'odd, "id"']]
    lines = [json.loads(line) for line in run("clusters", "export", "--json").stdout.splitlines()]
    assert lines == [{"image_id": image_id, "head": head} for image_id, head in rows[1:]]


def test_export_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "clusters.csv"
    result = run("clusters", "export", "--output", str(file))
    assert result.exit_code == 0
    assert file.read_text(encoding="utf-8").splitlines()[:2] == ["image_id,head", "a,a"]


def test_query_by_id() -> None:
    found = run_json("query", "b")
    assert (found["seen"], found["in_corpus"], found["head"], found["cluster"]["size"]) == (True, True, "a", 3)
    assert [match["image_id"] for match in found["candidates"]][:1] == ["a"]
    text = run("query", "b").stdout
    assert (
        "seen before: this very image is in the corpus\nhead: a\nmembers: 3, 2 of them in searches\n  a\n  b\n  c\n"
        in text
    )


def test_query_with_a_file_that_is_not_in_the_corpus(tmp_path: Path) -> None:
    file = tmp_path / "copy.jpg"
    file.write_bytes(b"photo")
    found = run_json("query", str(file), "--limit", "1")
    assert (found["seen"], found["in_corpus"], found["match"]["image_id"]) == (True, False, "a")
    assert (found["cluster"]["after"] is not None, len(found["candidates"])) == (True, 1)
    text = run("query", str(file), "--limit", "1").stdout
    assert "with a, 8 shared terms" in text
    assert "… more: neardup members a --after 1" in text


def test_query_with_something_new(tmp_path: Path) -> None:
    file = tmp_path / "new.jpg"
    file.write_bytes(b"something new")
    found = run_json("query", str(file))
    assert (found["seen"], found["head"], found["match"], found["cluster"]) == (False, None, None, None)
    assert run("query", str(file)).stdout.startswith("not seen before (searched 3 images)")


def test_query_with_a_file_that_is_no_image(tmp_path: Path) -> None:
    file = tmp_path / "empty.jpg"
    file.touch()
    with pytest.raises(InvalidImageError, match=r"empty\.jpg: the file is empty"):
        run("query", str(file))


def test_query_among_images_with_given_metadata(tmp_path: Path) -> None:
    file = tmp_path / "copy.jpg"
    file.write_bytes(b"photo")
    only_b = run_json("query", str(file), "--where", "tenant=tenant of b", "--where", "tenant=nobody")
    assert [match["image_id"] for match in only_b["candidates"]] == ["b"]
    assert run_json("query", str(file), "--where", "tenant=tenant of b", "--where", "x=y")["candidates"] == []
    assert run_json("query", str(file), "--created-from", "2026-01-01T00:00:00Z")["candidates"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--where", "tenant"), "'tenant' is not NAME=VALUE"),
        (("--created-from", "yesterday"), "is not a moment like"),
        (("--created-before", "2026-01-01T00:00:00"), "has no time zone"),
    ],
)
def test_a_filter_that_is_none(arguments: tuple[str, ...], words: str) -> None:
    result = run("query", "a", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_explain(tmp_path: Path) -> None:
    file = tmp_path / "copy.jpg"
    file.write_bytes(b"photo")
    assert run("explain", str(file), "b").stdout == (
        f"b shares 8 of 8 terms with {file} and is candidate 2 of at most 200; "
        "the score of the pair is 0.9820, at or above the match threshold 0.5\n"
    )
    found = run_json("explain", "a", "c")
    assert (found["cut_by"], found["rank"], found["overlap"], found["near_duplicate"]) == ("not-indexed", None, 8, True)
    assert len(found["shared_terms"]) == 8
    with pytest.raises(UnknownImageError, match="'nobody'"):
        run("explain", "a", "nobody")


class AtTheLimit:
    """Stands for SimilarImages while the search limit is reached; the n-th question is answered."""

    def __init__(self, similar: SimilarImages, refusals: int, seconds: float) -> None:
        self._similar = similar
        self._refusals = refusals
        self._seconds = seconds

    def lookup_id(self, image_id: ImageId, *, where: SearchFilter | None = None) -> Lookup:
        if self._refusals:
            self._refusals -= 1
            raise RateLimitedError(f"retry after {self._seconds} s", retry_after_seconds=self._seconds)
        return self._similar.lookup_id(image_id, where=where)

    def members(self, cluster_id: ClusterId, *, limit: int) -> Page:
        return self._similar.members(cluster_id, limit=limit)


@pytest.mark.parametrize(("refusals", "seconds"), [(2, 0.01), (1, 9.0)])
def test_query_at_the_search_limit(ports: Ports, refusals: int, seconds: float) -> None:
    ports.similar_images = AtTheLimit(ports.similar_images, refusals, seconds)  # type: ignore[assignment]
    result = CliRunner().invoke(cli, ["query", "b", "--json"])
    assert isinstance(result.exception, RateLimitedError)
    assert json.loads(result.stdout) == {"error": f"retry after {seconds} s", "retry_after_seconds": seconds}


def test_query_waits_once_for_the_search_limit(ports: Ports) -> None:
    ports.similar_images = AtTheLimit(ports.similar_images, 1, 0.01)  # type: ignore[assignment]
    assert run_json("query", "b")["seen"] is True


def test_query_by_an_unknown_id() -> None:
    with pytest.raises(UnknownImageError, match="'nobody'"):
        run("query", "nobody")
