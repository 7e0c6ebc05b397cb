"""The port Embedder: the in-memory one and the default one."""

import numpy as np
import pytest

from neardup.demo.corpus import sample_photos
from neardup.embedder.default import DefaultEmbedder
from neardup.errors import InvalidImageError
from neardup.lsh import LshModel
from neardup.ports import Embedder
from neardup.testing import DigestEmbedder

PHOTOS = [path.read_bytes() for path in sample_photos()[:4]]


@pytest.fixture(scope="module", params=["memory", "words", "default"])
def embedder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    if request.param == "default":
        return DefaultEmbedder(tmp_path_factory.mktemp("models"))
    return DigestEmbedder(words=5) if request.param == "words" else DigestEmbedder()


def test_shapes_and_types(embedder: Embedder) -> None:
    for data in PHOTOS:
        found = embedder.embed(data)
        assert found.lsh.shape == (embedder.lsh_dimension,)
        assert found.score.shape == (embedder.score_dimension,)
        for vector in (found.lsh, found.score):
            assert vector.dtype == np.float32
            assert np.isfinite(vector).all()
            assert vector.any()
        LshModel(dimension=embedder.lsh_dimension, embedding_version="", words=embedder.words).validate(found.lsh)


def test_equal_bytes_equal_embeddings_other_bytes_others(embedder: Embedder) -> None:
    found = [embedder.embed(data) for data in (*PHOTOS, *PHOTOS)]
    for first, second in zip(found[:4], found[4:], strict=True):
        np.testing.assert_array_equal(first.lsh, second.lsh)
        np.testing.assert_array_equal(first.score, second.score)
    assert len({vector.lsh.tobytes() for vector in found}) == 4


def test_the_version_is_one_short_word_and_stays(embedder: Embedder) -> None:
    version = embedder.version
    assert version
    assert version == "".join(version.split())
    embedder.embed(PHOTOS[0])
    assert embedder.version == version


def test_no_bytes_are_no_image(embedder: Embedder) -> None:
    with pytest.raises(InvalidImageError, match="empty") as caught:
        embedder.embed(b"")
    assert caught.value.reason
