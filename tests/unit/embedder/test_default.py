"""The default embedder on real photos."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from neardup.demo.corpus import sample_photos
from neardup.edits.named import EDITS
from neardup.embedder.default import DefaultEmbedder
from neardup.embedder.features import CONTENT_WIDTH, RAW_WIDTH, RawFeatures
from neardup.embedder.signs import MIRRORED, SIGN_NUMBERS, SIGNS
from neardup.embedder.trunk import ensure_graph
from neardup.points.packing import UNPACKED

PHOTOS = sample_photos()[:6]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def embedder(cache: Path) -> DefaultEmbedder:
    return DefaultEmbedder(cache)


def test_both_embeddings_start_alike(embedder: DefaultEmbedder) -> None:
    found = embedder.embed(PHOTOS[0].read_bytes())
    assert (found.lsh.shape, found.score.shape) == ((352,), (1055,))
    np.testing.assert_array_equal(found.lsh[:256], found.score[:256])
    assert np.linalg.norm(found.lsh[:256]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_another_process_gives_the_same_bits(embedder: DefaultEmbedder, cache: Path, threads: str) -> None:
    program = (
        "import sys; from pathlib import Path; from neardup.embedder.default import DefaultEmbedder\n"
        "e = DefaultEmbedder(Path(sys.argv[1])); print(e.version)\n"
        "for p in sys.argv[2:]: print(e.embed(Path(p).read_bytes()).score.tobytes().hex())"
    )
    arguments = [sys.executable, "-c", program, str(cache), *map(str, PHOTOS)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment)
    lines = done.stdout.split()
    assert lines[0] == embedder.version
    assert lines[1:] == [embedder.embed(path.read_bytes()).score.tobytes().hex() for path in PHOTOS]


def test_threads_give_the_same_bits(embedder: DefaultEmbedder) -> None:
    data = [path.read_bytes() for path in PHOTOS]
    alone = [embedder.embed(each).score for each in data]
    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(list(pool.map(lambda each: embedder.embed(each).score, data * 3)), alone * 3)


def test_a_copy_is_nearer_than_any_other_photo(embedder: DefaultEmbedder) -> None:
    originals = np.stack([embedder.embed(path.read_bytes()).lsh[:256] for path in PHOTOS])
    for edit in EDITS:
        copies = [embedder.embed(edit.apply(path.read_bytes(), path.name)[1]).lsh[:256] for path in PHOTOS[:3]]
        assert (np.stack(copies) @ originals.T).argmax(axis=1).tolist() == [0, 1, 2], edit.name


def test_a_mirror_image_has_nearly_the_same_features(cache: Path) -> None:
    features = RawFeatures(cache)
    flip = next(edit for edit in EDITS if edit.name == "flip")
    for path in PHOTOS:
        data = path.read_bytes()
        raw, mirrored = features.of_bytes(data), features.of_bytes(flip.apply(data, path.name)[1])
        assert raw.shape == (RAW_WIDTH,)
        content = raw[:CONTENT_WIDTH]
        assert content @ mirrored[:CONTENT_WIDTH] / (content @ content) > 0.99
        packed = np.stack([raw, mirrored])[:, CONTENT_WIDTH : CONTENT_WIDTH + SIGN_NUMBERS].astype(np.int64)
        signs, of_mirrored = UNPACKED[packed].reshape(2, -1)[:, :SIGNS] > 0
        assert (signs == of_mirrored ^ MIRRORED).mean() > 0.9


def test_the_graph_is_written_once_by_many(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from neardup.embedder.trunk import ensure_graph\n"
    program += "print(ensure_graph(Path(sys.argv[1])))"
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "new")], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    written = {process.communicate(timeout=120)[0].strip() for process in running}
    assert all(process.returncode == 0 for process in running)
    assert written == {str(path) for path in (tmp_path / "new").iterdir()}
    before = ensure_graph(tmp_path / "new").stat().st_mtime_ns
    assert ensure_graph(tmp_path / "new").stat().st_mtime_ns == before
