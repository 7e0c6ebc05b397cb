import base64
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from neardup.demo.sheet import write_sheet
from neardup.evaluation.figures import judge
from neardup.types import ImageId

EVIL = '<script>alert("1")</script>'


class Structure(HTMLParser):
    """Sections as lists of (classes, title) of their figures; every source that a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[tuple[str, list[tuple[str, str]]]] = []
        self.sources: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.sources += [value for name, value in values.items() if name in {"src", "href"}]
        if tag == "section":
            self.sections.append((values.get("class", ""), []))
        if tag == "figure":
            self.sections[-1][1].append((values["class"].strip(), values["title"]))


@pytest.fixture
def page(tmp_path: Path) -> Structure:
    file = tmp_path / "photo.png"
    Image.new("RGB", (300, 100), "red").save(file)
    images = [
        (ImageId("a"), "x", "original", file),
        (ImageId("b"), "x", "crop", file),
        (ImageId("c"), "x", "flip", file),
        (ImageId("d"), "y", "original", file),
        (ImageId(EVIL), EVIL, EVIL, file),
    ]
    heads = {ImageId(one): ImageId(head) for one, head in {"a": "a", "b": "a", "c": "d", "d": "d"}.items()}
    figures = judge({image_id: source for image_id, source, _, _ in images}, heads)
    path = tmp_path / "made" / "sheet.html"
    write_sheet(path, images=images, heads=heads, figures=figures, facts=[("precision", "0.5"), (EVIL, EVIL)])
    structure = Structure()
    structure.feed(path.read_text(encoding="utf-8"))
    return structure


def test_clusters_that_are_wrong_come_first_then_the_largest(page: Structure) -> None:
    assert page.sections == [
        ("mixed", [("head", "d"), ("astray", "c")]),
        ("", [("head", "a"), ("", "b")]),
        ("", [("head", EVIL)]),
    ]


def test_it_needs_nothing_else(page: Structure) -> None:
    assert len(page.sources) == 5
    for source in page.sources:
        found = re.fullmatch(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", source)
        assert found
        with Image.open(BytesIO(base64.b64decode(found[1]))) as picture:
            assert max(picture.size) <= 224
            assert picture.height <= 112


def test_names_are_text(page: Structure) -> None:
    assert "script" not in page.tags
