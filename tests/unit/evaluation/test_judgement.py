from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from neardup.evaluation.judgement import Judgement, Pair, judge_rows
from neardup.evaluation.manifest import Row
from neardup.evaluation.report import write_report
from neardup.types import ImageId

EVIL = '<script>alert("1")</script>'


@pytest.fixture
def judgement(tmp_path: Path) -> Judgement:
    """x: an original, a copy found, one lost in search, one lost in scoring. y: an original with which the last merges,
    and a copy that another way led to its original."""
    file = tmp_path / "photo.png"
    Image.new("RGB", (300, 100), "red").save(file)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")

    def row(name: str, source_id: str, edit: str, difficulty: str = "", at: Path = file) -> Row:
        return Row(image_id=ImageId(name), file=at, source_id=source_id, edit=edit, difficulty=difficulty, source="web")

    rows = [
        row("x0", "x", "original"),
        row("x1", "x", "flip", "easy"),
        row("x2", "x", "inset", "extreme", broken),
        row("x3", "x", "flip", "easy"),
        row("y0", "y", "original"),
        row("y1", "y", EVIL, "strange"),
    ]
    heads = {"x0": "x0", "x1": "x0", "x2": "x2", "x3": "y0", "y0": "y0", "y1": "y0"}
    pairs = {"x1": Pair(candidate=True, score=0.99), "x3": Pair(candidate=True, score=0.5)}
    return judge_rows(
        rows,
        {ImageId(one): ImageId(head) for one, head in heads.items()},
        {ImageId(one): pair for one, pair in pairs.items()},
        threshold=0.9,
    )


def test_figures(judgement: Judgement) -> None:
    figures = judgement.as_json()
    assert {name: figures[name] for name in ("images", "sources", "clusters")} == {
        "images": 6,
        "sources": 2,
        "clusters": 3,
    }
    assert (figures["precision"], figures["pair_recall"]) == (0.5, 2 / 7)
    assert (figures["recall"], figures["candidate_recall"], figures["score_recall"]) == (0.5, 0.5, 0.5)
    assert figures["wrong_share"] == 1 / 6
    assert figures["lost"] == {"copies": 4, "in_search": 2, "in_scoring": 1}
    assert figures["false_merges"] == [{"head": "y0", "images": 3, "source_ids": ["y", "x"]}]
    assert figures["by_edit"]["flip"]["recall"] == 0.5
    assert figures["by_edit"]["inset"]["score_recall"] is None
    assert list(figures["by_difficulty"]) == ["easy", "extreme", "strange"]
    assert list(figures["by_source"]) == ["web"]


def test_the_easiest_misses_come_first(judgement: Judgement) -> None:
    assert [(miss.copy.image_id, miss.pair.candidate) for miss in judgement.misses] == [("x3", True), ("x2", False)]


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_the_report_needs_nothing_else_and_shows_misses_and_merges(judgement: Judgement, tmp_path: Path) -> None:
    path = tmp_path / "made" / "report.html"
    write_report(path, judgement, facts=[(EVIL, EVIL)], threshold=0.9)
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("table") == 3
    # Three pictures of the merged cluster, two misses beside their originals; one file is no image.
    assert page.tags.count("figure") == 7
    assert len(page.sources) == 6
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
