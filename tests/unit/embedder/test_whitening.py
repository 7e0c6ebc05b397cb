"""The whitening as numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neardup.embedder.features import RAW_WIDTH
from neardup.embedder.whitening import Whitening, fit_projection, shipped_whitening
from neardup.errors import ConfigError


def test_what_copies_change_stops_to_matter() -> None:
    rng = np.random.default_rng(5)
    originals = rng.normal(size=(200, 20)).astype(np.float32)
    owner = np.repeat(np.arange(200), 5)
    change = np.zeros((1000, 20), np.float32)
    change[:, :10] = rng.normal(scale=3, size=(1000, 10))
    copies = originals[owner] + change + rng.normal(scale=0.05, size=(1000, 20)).astype(np.float32)
    projection = fit_projection(originals, copies, owner, dimension=8, ridge=0.001, flatten=0.5)
    plain = (originals[owner] * copies).sum(axis=1) / np.linalg.norm(originals[owner], axis=1)
    plain /= np.linalg.norm(copies, axis=1)
    learned = (projection.apply(originals)[owner] * projection.apply(copies)).sum(axis=1)
    assert np.median(plain) < 0.6
    assert np.median(learned) > 0.95


def test_save_and_load_keep_digest_and_embeddings(tmp_path: Path) -> None:
    shipped = shipped_whitening()
    shipped.save(tmp_path / "w.npz")
    loaded = Whitening.load(tmp_path / "w.npz")
    raw = np.random.default_rng(0).uniform(0, 0.1, (3, RAW_WIDTH)).astype(np.float32)
    assert loaded.digest == shipped.digest
    np.testing.assert_array_equal(loaded.embed(raw)[1], shipped.embed(raw)[1])


def test_the_digest_sees_every_number() -> None:
    shipped = shipped_whitening()
    matrix = shipped.content.matrix.copy()
    matrix[-1, -1] += 1
    changed = replace(shipped, content=replace(shipped.content, matrix=matrix))
    assert changed.digest != shipped.digest
    for axes in ({"word": -shipped.axes.word}, {"stopped": shipped.axes.stopped[1:]}):
        changed = replace(shipped, axes=replace(shipped.axes, **axes))
        assert changed.digest != shipped.digest


def test_files_that_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        Whitening.load(tmp_path / "missing.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ConfigError, match=r"broken\.npz"):
        Whitening.load(tmp_path / "broken.npz")
    np.savez(tmp_path / "other.npz", format=np.array(2), mean=np.zeros(3))
    with pytest.raises(ConfigError, match="made for other features"):
        Whitening.load(tmp_path / "other.npz")
