"""Embedding -> LSH terms: the only implementation, used to write and to search.

Sign random projections (Charikar, 2002) cut into index-prefixed groups, as Pinterest describes for its near-duplicate
system ("Detecting image similarity using Spark, LSH and TensorFlow", 2019). A query also asks for the bucket whose
least confident bit is flipped (multi-probe LSH, Lv et al., VLDB 2007). Words of local points are terms as they come.
Pure numpy, no I/O.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from neardup.errors import InvalidMessageError
from neardup.projection import Projection, unit_rows
from neardup.types import Code, LshTerm, Vector
from neardup.words import MOST_WORDS, NO_WORD, WORD, check_words, count_tables, shared_words, words_of

__all__ = ["LshModel", "default_tables", "overlaps", "overlaps_of_each", "query_terms", "terms"]

_TABLES: Final = 64
_TABLES_BESIDE_WORDS: Final = 48
"""More find no more there, and cost a term each (docs/quality.md)."""


class LshModel:
    """Hyperplanes of `tables` (None: `default_tables`) x `bits_per_table` for embeddings of `dimension`, the words
    included that they end with: at most `words`, of two numbers each.

    `embedding_version` names what made the embeddings: terms of different embedders must never meet. `projection`:
    centring and whitening for embeddings that come without; it is applied here and nowhere else, to their directions.
    """

    def __init__(
        self,
        *,
        dimension: int,
        embedding_version: str,
        tables: int | None = None,
        bits_per_table: int = 12,
        seed: int = 0,
        projection: Projection | None = None,
        words: int = 0,
    ) -> None:
        if not 1 <= bits_per_table <= 16:
            raise ValueError(f"bits_per_table: {bits_per_table} is not between 1 and 16")
        if not 0 <= words <= MOST_WORDS:
            raise ValueError(f"words: {words} is not between 0 and {MOST_WORDS}")
        if 2 * words >= dimension:
            raise ValueError(f"dimension: {dimension} has no numbers besides {words} words of two")
        if projection is not None and len(projection.mean) != dimension - 2 * words:
            raise ValueError(f"dimension: {dimension - 2 * words}, the projection is for {len(projection.mean)}")
        self.dimension = dimension
        self.words = words
        self.embedding_version = embedding_version
        self.tables = default_tables(words) if tables is None else tables
        self.bits_per_table = bits_per_table
        self.seed = seed
        self.projection = projection

    @cached_property
    def version(self) -> str:
        """The lsh_version: 12 hex digits over all that changes terms."""
        projection = () if self.projection is None else (self.projection.digest,)
        words = (f"words {self.words}",) if self.words else ()
        shape = (self.tables, self.bits_per_table, self.seed)
        parts = ("1", self.dimension, self.embedding_version, *shape, *projection, *words)
        return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:12]

    @cached_property
    def planes(self) -> Vector:
        """Shape (d, tables * bits_per_table), float32: blocks of orthonormal directions. d is the dimension without
        the words, or that of the projection's result."""
        count = self.tables * self.bits_per_table
        width = self.dimension - 2 * self.words if self.projection is None else self.projection.dimension
        blocks = -(-count // width)
        square = _normal_stream(self.seed, blocks * width * width).reshape(blocks, width, width)
        q, r = np.linalg.qr(square)
        # The sign of a QR factor is the library's choice; this fixes it.
        q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
        return np.ascontiguousarray(np.concatenate(list(q), axis=1)[:, :count].astype(np.float32))

    def validate(self, embedding: Vector) -> None:
        """Raises InvalidMessageError unless `embedding` is a finite, non-zero vector of this dimension with valid words
        at its end."""
        if embedding.shape != (self.dimension,):
            found, words = embedding.shape[-1] if embedding.ndim else 0, 2 * self.words
            wanted = f"{self.dimension} ({words} of them for words)" if words else self.dimension
            raise InvalidMessageError(f"dimension {found}, the LSH model wants {wanted}", field="embedding")
        if not np.all(np.isfinite(embedding)):
            raise InvalidMessageError("contains NaN or infinity", field="embedding")
        if not np.any(self._directions(embedding)):
            raise InvalidMessageError("is all zeros and has no direction", field="embedding")
        check_words(embedding, self.words)

    def codes(self, embeddings: Vector) -> Code:
        """Embeddings (n, dimension) -> codes (n, tables + words)."""
        return self._with_words(self._pack(self._distances(embeddings) > 0)[:, :, None], embeddings)[:, :, 0]

    def query_codes(self, embeddings: Vector, *, probes: int = 1) -> Code:
        """Embeddings (n, dimension) -> what to ask for (n, tables + words, 1 + probes): the own code first, then the
        buckets with the least, second least … confident bit flipped."""
        distances = self._distances(embeddings)
        own = self._pack(distances > 0)
        return self._with_words(self._probed(own, distances, probes), embeddings)

    def _probed(self, own: npt.NDArray[np.uint16], distances: Vector, probes: int) -> npt.NDArray[np.uint16]:
        if probes == 0:
            return own[:, :, None]
        grouped = np.abs(distances).reshape(-1, self.tables, self.bits_per_table)
        if probes == 1:
            least = np.argmin(grouped, axis=2, keepdims=True)
        else:
            least = np.argsort(grouped, axis=2, kind="stable")[:, :, :probes]
        flips = np.uint16(1) << least.astype(np.uint16)
        return np.concatenate([own[:, :, None], own[:, :, None] ^ flips], axis=2)

    def _directions(self, embeddings: Vector) -> Vector:
        """Embeddings (…, dimension) without their words."""
        return embeddings[..., : embeddings.shape[-1] - 2 * self.words]

    def _distances(self, embeddings: Vector) -> Vector:
        """Embeddings (n, dimension) -> how far each is on one side of each plane, (n, tables * bits_per_table)."""
        directions = self._directions(embeddings)
        if self.projection is not None:
            directions = self.projection.apply(unit_rows(directions))
        distances: Vector = directions @ self.planes
        return distances

    def _pack(self, bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint16]:
        grouped = bits.reshape(-1, self.tables, self.bits_per_table)
        weights = (1 << np.arange(self.bits_per_table)).astype(np.uint16)
        packed: npt.NDArray[np.uint16] = (grouped * weights).sum(axis=2, dtype=np.uint16)
        return packed

    def _with_words(self, buckets: npt.NDArray[np.uint16], embeddings: Vector) -> Code:
        """Buckets (n, tables, columns) followed by the words of the embeddings, which are in the first column only."""
        if self.words == 0:
            return buckets
        ends = np.full((len(buckets), self.words, buckets.shape[2]), NO_WORD, dtype=np.uint32)
        ends[:, :, 0] = words_of(embeddings[:, -2 * self.words :])
        return np.concatenate([buckets.astype(np.uint32), ends], axis=1)


def default_tables(words: int) -> int:
    """How many tables embeddings get that end with so many words."""
    return _TABLES_BESIDE_WORDS if words else _TABLES


def terms(code: Code) -> tuple[LshTerm, ...]:
    """A code (tables + words,) as keywords: table number in decimal, bucket in hex, "17.a3f"; a word in hex,
    "w.3fa07c"."""
    return tuple(
        LshTerm(f"{place}.{number:x}" if number < WORD else f"w.{number - WORD:x}")
        for place, number in enumerate(code.tolist())
        if number != NO_WORD
    )


def query_terms(query: Code) -> tuple[LshTerm, ...]:
    """The terms a probe asks for, of shape (tables + words, 1 + probes): its own first; all of them different."""
    return tuple(term for column in query.T for term in terms(column))


def overlaps(query: Code, codes: Code) -> npt.NDArray[np.int32]:
    """Term overlap of one query (tables + words, 1 + probes) with many codes (n, tables + words): shape (n,), as the
    index counts: tables of which the bucket is asked for, and words in common."""
    (counts,) = overlaps_of_each([query], codes)
    return counts


def overlaps_of_each(queries: Sequence[Code], codes: Code) -> list[npt.NDArray[np.int32]]:
    """The same for several queries, at least one: the words of all are looked for at once."""
    tables = count_tables(queries[0][:, 0])
    buckets = codes[:, :tables].T
    counts = [_shared_buckets(query[:tables], buckets) for query in queries]
    if tables == len(queries[0]):
        return counts
    words = shared_words([query[tables:, 0] for query in queries], codes[:, tables:])
    return [own + shared for own, shared in zip(counts, words, strict=True)]


def _shared_buckets(query: Code, buckets: Code) -> npt.NDArray[np.int32]:
    # Probe by probe: one array of three dimensions takes eighteen times as long. Codes that lie in memory table by
    # table are counted in half the time and less.
    matched = buckets == query[:, :1]
    for probe in query.T[1:]:
        matched |= buckets == probe[:, None]
    counts: npt.NDArray[np.int32] = matched.sum(axis=0, dtype=np.uint16).astype(np.int32)
    return counts


def _normal_stream(seed: int, count: int) -> npt.NDArray[np.float64]:
    """Standard normal numbers from SHAKE-256: equal in every build of numpy, unlike its Generators' streams."""
    raw = hashlib.shake_256(f"neardup-planes-{seed}".encode()).digest(16 * ((count + 1) // 2))
    uniform = (np.frombuffer(raw, dtype="<u8") >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    radius = np.sqrt(-2.0 * np.log1p(-uniform[0::2]))
    angle = 2.0 * np.pi * uniform[1::2]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
