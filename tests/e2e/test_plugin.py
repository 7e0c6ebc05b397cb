"""Another candidate search, as somebody else's wheel brings it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neardup.cli.add import embed_files
from neardup.demo.corpus import sample_photos
from neardup.embedder.default import DefaultEmbedder
from neardup.lsh import LshModel
from neardup.settings import LocalSettings
from neardup.types import Embeddings

pytestmark = pytest.mark.e2e

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "acme-search"
version = "1.0"
[project.entry-points."neardup.searches"]
acme = "acme_search:make"
[tool.hatch.build.targets.wheel]
include = ["acme_search.py"]
"""

MODULE = '''\
"""A candidate search over a file of codes: for small corpora that never change."""

import os

import numpy as np

from neardup.lsh import terms
from neardup.types import Candidate, CandidateList, ImageId, IndexedImage, Position


def make(settings, lsh_version):
    return AcmeSearch(os.environ["ACME_FILE"], lsh_version)


class AcmeSearch:
    def __init__(self, file, lsh_version):
        data = np.load(file)
        assert str(data["lsh_version"]) == lsh_version, "made with another LSH model"
        self._ids = [ImageId(name) for name in data["ids"].tolist()]
        self._codes, self._scores = data["codes"], data["scores"]
        self._terms = [frozenset(terms(code)) for code in self._codes]

    def position(self):
        return Position()

    def search(self, probes, *, limit, minimum_overlap=1):
        return [self._search(probe, limit, minimum_overlap) for probe in probes]

    def images(self, image_ids):
        return {
            name: IndexedImage(
                image_id=name, version=1, seq=row + 1, code=self._codes[row], score=self._scores[row]
            )
            for row, name in enumerate(self._ids)
            if name in image_ids
        }

    def _search(self, probe, limit, minimum_overlap):
        asked = frozenset(probe.terms)
        found = [
            Candidate(image_id=name, overlap=len(asked & own), score=score)
            for name, own, score in zip(self._ids, self._terms, self._scores, strict=True)
            if len(asked & own) >= minimum_overlap and name not in probe.exclude
        ]
        found.sort(key=lambda candidate: -candidate.overlap)
        return CandidateList.of(found[:limit], searched_documents=len(self._ids))
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the wheel installed in it."""
    project, built, site = tmp_path / "acme", tmp_path / "dist", tmp_path / "site"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "acme_search.py").write_text(MODULE)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)], cwd=project, check=True
    )
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as bundle:
        bundle.extractall(site)
    return site


def test_a_wheel_replaces_the_candidate_search(
    site: Path, tmp_path: Path, engines: object, engines_local: LocalSettings
) -> None:
    photos = sample_photos()[:3]
    embedded = [result for _, result in embed_files(photos, "default") if isinstance(result, Embeddings)]
    lsh = LshModel(dimension=embedded[0].lsh.size, embedding_version=_embedder_version(), words=DefaultEmbedder.words)
    file = tmp_path / "acme.npz"
    np.savez(
        file,
        ids=np.array([f"acme/{photo.name}" for photo in photos]),
        codes=lsh.codes(np.stack([both.lsh for both in embedded])),
        scores=np.stack([both.score for both in embedded]),
        lsh_version=lsh.version,
    )
    environment = os.environ | {
        "NEARDUP_LOCAL__HOME": str(engines_local.home),
        "NEARDUP_NAMESPACE": "plugin",
        "NEARDUP_CANDIDATE_SEARCH": "acme",
        "ACME_FILE": str(file),
        "PYTHONPATH": str(site),
    }

    def neardup(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "neardup", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    assert neardup("setup").returncode == 0
    done = neardup("query", str(photos[1]), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["seen"], found["match"]["image_id"]) == (True, f"acme/{photos[1].name}")
    assert found["searched_documents"] == 3
    explained = neardup("explain", str(photos[1]), f"acme/{photos[2].name}")
    assert explained.returncode == 0, explained.stderr
    assert f"acme/{photos[2].name} shares" in explained.stdout

    environment["NEARDUP_CANDIDATE_SEARCH"] = "nobody"
    refused = neardup("query", str(photos[1]))
    assert refused.returncode == 2
    assert "nobody" in refused.stderr
    assert "acme" in refused.stderr, "what there is, is named"


def _embedder_version() -> str:
    from neardup.cli.plugins import load_embedder

    return load_embedder("default").version
