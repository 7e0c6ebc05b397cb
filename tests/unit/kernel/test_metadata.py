import numpy as np
import pytest

from neardup.errors import InvalidMessageError
from neardup.messages import EmbeddingMessage, ImageRecord
from neardup.metadata import check_metadata
from neardup.types import Image, ImageId

GOOD = {
    "source": "upload",
    "tenant": "acme",
    "created_at": "2026-01-31T12:00:00+01:00",
    "image_url": "https://images.example/4711.jpg?size=large",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "album": "",
}


def test_names_with_a_meaning_and_others() -> None:
    assert check_metadata(GOOD) is GOOD
    for url in ("s3://bucket/key", "file:///photos/4711.jpg", "http://127.0.0.1:9000/a"):
        check_metadata({"image_url": url})


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("source", "", "is empty"),
        ("tenant", "a\nb", "contains a control character"),
        ("created_at", "yesterday", "is not a moment"),
        ("created_at", "2026-01-31T12:00:00", "has no time zone"),
        ("image_url", "photos/4711.jpg", "is not an absolute URL"),
        ("image_url", "https:", "is not an absolute URL"),
        ("image_url", "https://images.example/a b", "contains a blank"),
        ("image_url", "http://[::1", "image_url"),
        ("sha256", GOOD["sha256"].upper(), "is not 64 hex digits in lower case"),
        ("sha256", GOOD["sha256"][:-1], "is not 64 hex digits in lower case"),
        ("sha256", GOOD["sha256"] + "\n", "is not 64 hex digits in lower case"),
    ],
)
def test_a_text_that_does_not_fit_its_name(name: str, text: str, reason: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        EmbeddingMessage.create(image_id="a", embedding=np.ones(3, np.float32), metadata={name: text})
    assert caught.value.field == "metadata"
    assert caught.value.reason.startswith(name)
    assert reason in caught.value.reason


def test_an_image_may_have_the_metadata_of_both_sides() -> None:
    """32 entries from each: what a producer may send must never be refused after the join."""
    metadata = {f"{side}{number}": "x" for side in ("lsh", "score") for number in range(32)}
    vector = np.ones(3, np.float32)
    image = Image(image_id=ImageId("a"), version=0, lsh=vector, score=vector, metadata=metadata)
    assert ImageRecord.decode(ImageRecord.of(image).encode()).image().metadata == metadata
