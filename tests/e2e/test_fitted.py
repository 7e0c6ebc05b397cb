"""Embeddings of another system, never centred: `neardup fit`, then the whole path with its model."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from neardup.dead_letters import read_dead_letters
from neardup.demo.corpus import make_copies, plan_copies, sample_photos
from neardup.embedder.features import RawFeatures
from neardup.embedder.trunk import MIDDLE, TOP
from neardup.embedder.whitening import shipped_whitening
from neardup.evaluation.figures import judge
from neardup.settings import LshSettings, Settings, load_settings
from neardup.types import Embeddings, ImageId
from tests.e2e.conftest import PipelineFactory, environment

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Foreign:
    """Images with the pooled features of a network as LSH embedding: 1280 numbers, none below zero."""

    embeddings: dict[ImageId, Embeddings]
    source: dict[ImageId, str]
    folder: Path


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    """42 photos with 5 edits each, and the files that `neardup fit` takes."""
    folder = tmp_path_factory.mktemp("foreign")
    features, whitening = RawFeatures(load_settings().local.cache / "models"), shipped_whitening()
    embeddings, source = {}, {}
    for copy, file in make_copies(plan_copies(sample_photos()[:42], folder / "images", edits_a_photo=5)):
        assert isinstance(file, Path)
        raw = features.of_bytes(file.read_bytes())
        image_id = ImageId(f"{copy.source}/{file.name}")
        score = whitening.embed_one(raw).score
        embeddings[image_id] = Embeddings(lsh=7 * raw[MIDDLE : MIDDLE + TOP], score=score)
        source[image_id] = copy.source
    ids = np.array(list(embeddings))
    for side in ("lsh", "score"):
        rows = np.stack([getattr(both, side) for both in embeddings.values()])
        np.savez(folder / f"{side}.npz", embeddings=rows, ids=ids)
    first: dict[str, str] = {}
    lines = [f"{first.setdefault(name, image_id)},{image_id}" for image_id, name in source.items()]
    lines = [line for line in lines if len(set(line.split(","))) == 2]
    (folder / "pairs.csv").write_text("a,b\n" + "\n".join(lines))
    return Foreign(embeddings=embeddings, source=source, folder=folder)


def fit(foreign: Foreign, name: str, *arguments: str) -> Path:
    """A model of 64 dimensions, whose report says that a query costs less."""
    output = foreign.folder / f"{name}.npz"
    sides = [f"--{side}={foreign.folder}/{side}.npz" for side in ("lsh", "score")]
    options = ["--embeddings=lite0-pooled", "--dimension=64", f"--output={output}", "--json"]
    report = json.loads(_neardup(None, "fit", *sides, *options, *arguments).stdout)
    given, fitted = (report["figures"][of] for of in ("as given", "fitted"))
    assert given["postings_a_query"][0] > (5 if report["pairs"] else 2) * fitted["postings_a_query"][0]
    assert report["balanced"] or not report["pairs"]
    assert report["dimension"] == 1280
    return output


def _neardup(settings: Settings | None, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "neardup", *arguments],
        env=None if settings is None else environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_foreign_embeddings_are_clustered_with_a_fitted_model(pipeline: PipelineFactory, foreign: Foreign) -> None:
    model = fit(foreign, "with-pairs", f"--pairs={foreign.folder}/pairs.csv")
    running = pipeline("fitted", lsh=LshSettings(model=model))
    settings = running.settings
    asked: dict[ImageId, Embeddings] = {}
    published: dict[ImageId, Embeddings] = {}
    for number, (image_id, both) in enumerate(foreign.embeddings.items()):
        (asked if number % 30 == 1 else published)[image_id] = both
    good = next(iter(published.values()))
    wrong = Embeddings(lsh=good.lsh[:256], score=good.score[:7])
    running.publish(published | {ImageId("wrong"): wrong})
    running.drain()

    letters = {letter.reason for letter in read_dead_letters(running.wiring.kafka, running.wiring.topics)}
    assert letters == {
        f"embedding: dimension {has}, this namespace takes {wants}" for has, wants in ((256, 1280), (7, 1055))
    }
    placed = running.wiring.store.placements(list(published))
    assert set(placed) == set(published)
    figures = judge(
        {image_id: foreign.source[image_id] for image_id in published},
        {image_id: placement.head for image_id, placement in placed.items()},
    )
    assert figures.precision == 1
    # The order of arrival moves it by some hundredths.
    assert figures.recall > 0.7

    # Queries go the same way: by embeddings, and by the id of an image in the corpus; no plug-in is needed.
    seen = 0
    for image_id, both in asked.items():
        found = running.wiring.similar_images.lookup_embeddings(both)
        assert found.match is None or foreign.source[found.match.image_id] == foreign.source[image_id]
        seen += found.seen
    assert seen >= 0.7 * len(asked)
    known = next(iter(published))
    assert json.loads(_neardup(settings, "query", known, "--json").stdout)["in_corpus"] is True
    refused = _neardup(settings, "query", str(sample_photos()[0]), code=2)
    assert "NEARDUP_EMBEDDER: 'default' makes embeddings lite0" in refused.stderr
    assert "the LSH model is for lite0-pooled of 1280 and 1055" in refused.stderr
    assert "NEARDUP_EMBEDDER" in _neardup(settings, "add", str(sample_photos()[0]), code=2).stderr

    # Another model makes other terms: it is kept out before it changes anything.
    other = settings.model_copy(update={"lsh": LshSettings(model=fit(foreign, "alone"))})
    refused = _neardup(other, "setup", code=3)
    assert f"holds {len(published)} images of lsh_version {running.wiring.lsh.version}" in refused.stderr
    findings = json.loads(_neardup(other, "doctor", "--json", code=1).stdout)
    (namespace,) = [finding for finding in findings if finding["name"] == "namespace"]
    assert namespace["level"] == "FAIL"
    assert "of lsh_version" in namespace["found"]
    assert "everything is set up already" in _neardup(settings, "setup").stdout

    # The topics are a sample, too, mistakes and all.
    plain = settings.model_copy(update={"lsh": LshSettings()})
    again = ["--embeddings=lite0-pooled", "--dimension=64", f"--output={foreign.folder}/topic.npz", "--json"]
    done = _neardup(plain, "fit", "--from-topic", *again)
    assert json.loads(done.stdout)["rows"] == len(published)
    assert "left out 0 messages that are not valid and 1 images of another dimension than 1280" in done.stderr
