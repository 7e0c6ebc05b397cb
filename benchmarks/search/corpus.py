"""The corpora: a fixed stream of images of which every corpus is a prefix. Pure numpy, no I/O.

The embeddings have a power-law spectrum: dimension i has a variance of i ** -SPECTRUM. With SPECTRUM = 0.6 a query of
64 tables x 12 bits with one probe meets about 35,000 postings a million images, as whitened embeddings of photos do.
One row in five is a near-copy of another row; one row in nine from the third block on belongs to one giant cluster,
until that has GIANT copies. Rows are made in blocks, each from its own seed, so that any block can be made again.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from neardup.lsh import LshModel
from neardup.types import Code, Vector

__all__ = [
    "BLOCK",
    "DIMENSION",
    "GIANT",
    "SCORE_DIMENSION",
    "SPECTRUM",
    "Images",
    "Queries",
    "image_name",
    "row_of_name",
]

DIMENSION: Final = 256
SCORE_DIMENSION: Final = 712
SPECTRUM: Final = 0.6
BLOCK: Final = 50_000
GIANT: Final = 100_000
"""Copies in the giant cluster of the corpora from a million on."""
EXEMPLARS: Final = 32
"""Of those, how many the product indexes (NEARDUP_ASSIGN__ENOUGH_EXEMPLARS)."""

_COPIES: Final = 0.2
_PARENTS: Final = 0.04
_NOISE: Final = (0.05, 0.6)
"""Length of a copy's noise, relative to the embedding: uniform in between. 0.6 shares about 14 of 64 terms."""
_GIANT_NOISE: Final = (0.0, 0.1)
_GIANT_BLOCKS: Final = range(2, 20)
_SEED: Final = 20_261
_SPREAD: Final = 0x9E3779B97F4A7C15
_GATHER: Final = pow(_SPREAD, -1, 2**64)


@dataclass(frozen=True, slots=True)
class Queries:
    """What is asked: `codes` of shape (n, tables, 1 + probes); `originals`: the row to find, -1 where there is none."""

    codes: npt.NDArray[np.uint16]
    originals: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, some: slice) -> "Queries":
        return Queries(self.codes[some], self.originals[some])


class Images:
    """The stream. `real`: embeddings of real images, shape (n, 256), that take the place of rows of the first two
    blocks; every corpus has them."""

    def __init__(self, model: LshModel, real: Vector) -> None:
        self.model = model
        self._real = real.astype(np.float32)
        self.real_rows: npt.NDArray[np.int64] = np.linspace(0, 2 * BLOCK - 1, len(real)).astype(np.int64)

    def embeddings(self, block: int) -> Vector:
        """The LSH embeddings of one block, shape (BLOCK, 256)."""
        rng = _generator(block)
        rows = _normal(rng, BLOCK)
        copies = rng.permutation(BLOCK)[: int(BLOCK * _COPIES)]
        parents = rng.integers(0, int(BLOCK * _PARENTS), len(copies))
        rows[copies] = noisy(rng, rows[parents], _NOISE)
        members = _giant_members(block)
        rows[members] = noisy(rng, np.repeat(self.giant[None], len(members), axis=0), _GIANT_NOISE)
        mine = self.real_rows // BLOCK == block
        rows[self.real_rows[mine] % BLOCK] = self._real[mine]
        return rows

    def withheld(self, rows: range) -> npt.NDArray[np.int64]:
        """Those of these rows (whole blocks) that the product does not index: copies of the giant cluster after the
        first EXEMPLARS, by the rule of graph.assignment."""
        blocks = range(rows.start // BLOCK, rows.stop // BLOCK)
        members = [np.sort(_giant_members(block)) + block * BLOCK for block in blocks]
        first = _GIANT_BLOCKS.start
        if first in blocks:
            members[first - blocks.start] = members[first - blocks.start][EXEMPLARS:]
        return np.concatenate(members)

    def scores(self, block: int) -> npt.NDArray[np.float16]:
        """The score embeddings of one block, shape (BLOCK, 712): random, only their size matters."""
        rng = _generator(block, 1)
        return rng.standard_normal((BLOCK, SCORE_DIMENSION), dtype=np.float32).astype(np.float16)

    def codes(self, rows: range) -> Code:
        """The codes of these rows, shape (len(rows), tables); whole blocks."""
        assert rows.start % BLOCK == rows.stop % BLOCK == 0
        blocks = range(rows.start // BLOCK, rows.stop // BLOCK)
        return np.concatenate([self.model.codes(self.embeddings(block)) for block in blocks])

    @cached_property
    def giant(self) -> Vector:
        """The embedding that the giant cluster is made of, shape (256,)."""
        image: Vector = _normal(_generator(0, 2), 1)[0]
        return image

    def ordinary(self, count: int, *, probes: int, seed: int = 0) -> Queries:
        """Two in three are fresh near-copies of rows of the first two blocks, the others have no original."""
        rng = _generator(seed, 3)
        asked = _normal(rng, count)
        originals = np.full(count, -1, dtype=np.int64)
        copies = np.arange(count) % 3 != 2
        originals[copies] = rng.integers(0, 2 * BLOCK, int(copies.sum()))
        for block in (0, 1):
            mine = originals // BLOCK == block
            asked[mine] = noisy(rng, self.embeddings(block)[originals[mine] % BLOCK], _NOISE)
        return Queries(self.model.query_codes(asked, probes=probes), originals)

    def asking(self, embeddings: Vector, originals: npt.NDArray[np.int64], *, probes: int) -> Queries:
        """Queries of real images; `originals`: places in the `real` of this stream."""
        return Queries(self.model.query_codes(embeddings, probes=probes), self.real_rows[originals])

    def into_giant(self, count: int, *, probes: int) -> Queries:
        """Fresh copies of the giant cluster's image."""
        asked = noisy(_generator(0, 4), np.repeat(self.giant[None], count, axis=0), _GIANT_NOISE)
        return Queries(self.model.query_codes(asked, probes=probes), np.full(count, -1, dtype=np.int64))


def noisy(rng: np.random.Generator, rows: Vector, lengths: tuple[float, float]) -> Vector:
    """Copies of embeddings with noise of these relative lengths (from, to) in random directions of the spectrum."""
    noise = _normal(rng, len(rows))
    wanted = rng.uniform(*lengths, (len(rows), 1)).astype(np.float32) * np.linalg.norm(rows, axis=1, keepdims=True)
    copies: Vector = rows + noise * (wanted / np.linalg.norm(noise, axis=1, keepdims=True))
    return copies


def image_name(row: int) -> str:
    """The id of a row: 16 hex digits without an order, as digests are."""
    return f"{(row + 1) * _SPREAD % 2**64:016x}"


def row_of_name(name: str) -> int:
    """The row of an id."""
    return int(name, 16) * _GATHER % 2**64 - 1


def _giant_members(block: int) -> npt.NDArray[np.int64]:
    """The rows of a block, counted from its begin, that belong to the giant cluster."""
    if block not in _GIANT_BLOCKS:
        return np.empty(0, dtype=np.int64)
    before, upto = (GIANT * (number - _GIANT_BLOCKS.start) // len(_GIANT_BLOCKS) for number in (block, block + 1))
    return _generator(block, 5).permutation(BLOCK)[: upto - before]


def _normal(rng: np.random.Generator, count: int) -> Vector:
    deviations = np.arange(1, DIMENSION + 1, dtype=np.float32) ** np.float32(-SPECTRUM / 2)
    rows: Vector = rng.standard_normal((count, DIMENSION), dtype=np.float32) * deviations
    return rows


def _generator(*numbers: int) -> np.random.Generator:
    return np.random.default_rng([_SEED, *numbers])
