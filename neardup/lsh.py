"""Embedding -> LSH terms: the only implementation, used to write and to search.

Sign random projections (Charikar, 2002) cut into index-prefixed groups, as Pinterest describes for its near-duplicate
system ("Detecting image similarity using Spark, LSH and TensorFlow", 2019). A query also asks for the bucket whose
least confident bit is flipped (multi-probe LSH, Lv et al., VLDB 2007). Pure numpy, no I/O.
"""

import hashlib
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neardup.errors import InvalidMessageError
from neardup.projection import Projection, unit_rows
from neardup.types import Code, LshTerm, Vector

__all__ = ["LshModel", "overlaps", "query_terms", "terms"]


class LshModel:
    """Hyperplanes of `tables` x `bits_per_table` for embeddings of `dimension`.

    `embedding_version` names what made the embeddings: terms of different embedders must never meet. `projection`:
    centring and whitening for embeddings that come without; it is applied here and nowhere else, to their directions.
    """

    def __init__(
        self,
        *,
        dimension: int,
        embedding_version: str,
        tables: int = 64,
        bits_per_table: int = 12,
        seed: int = 0,
        projection: Projection | None = None,
    ) -> None:
        if not 1 <= bits_per_table <= 16:
            raise ValueError(f"bits_per_table: {bits_per_table} is not between 1 and 16")
        if projection is not None and len(projection.mean) != dimension:
            raise ValueError(f"dimension: {dimension}, the projection is for {len(projection.mean)}")
        self.dimension = dimension
        self.embedding_version = embedding_version
        self.tables = tables
        self.bits_per_table = bits_per_table
        self.seed = seed
        self.projection = projection

    @cached_property
    def version(self) -> str:
        """The lsh_version: 12 hex digits over all that changes terms."""
        projection = () if self.projection is None else (self.projection.digest,)
        parts = ("1", self.dimension, self.embedding_version, self.tables, self.bits_per_table, self.seed, *projection)
        return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:12]

    @cached_property
    def planes(self) -> Vector:
        """Shape (d, tables * bits_per_table), float32: blocks of orthonormal directions. d is the dimension, or that of
        the projection's result."""
        count = self.tables * self.bits_per_table
        width = self.dimension if self.projection is None else self.projection.dimension
        blocks = -(-count // width)
        square = _normal_stream(self.seed, blocks * width * width).reshape(blocks, width, width)
        q, r = np.linalg.qr(square)
        # The sign of a QR factor is the library's choice; this fixes it.
        q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
        return np.ascontiguousarray(np.concatenate(list(q), axis=1)[:, :count].astype(np.float32))

    def validate(self, embedding: Vector) -> None:
        """Raises InvalidMessageError unless `embedding` is a finite, non-zero vector of this dimension."""
        if embedding.shape != (self.dimension,):
            raise InvalidMessageError(
                f"dimension {embedding.shape[-1] if embedding.ndim else 0}, the LSH model wants {self.dimension}",
                field="embedding",
            )
        if not np.all(np.isfinite(embedding)):
            raise InvalidMessageError("contains NaN or infinity", field="embedding")
        if not np.any(embedding):
            raise InvalidMessageError("is all zeros and has no direction", field="embedding")

    def codes(self, embeddings: Vector) -> Code:
        """Embeddings (n, dimension) -> buckets (n, tables), uint16."""
        return self._pack(self._distances(embeddings) > 0)

    def query_codes(self, embeddings: Vector, *, probes: int = 1) -> npt.NDArray[np.uint16]:
        """Embeddings (n, dimension) -> buckets to ask for (n, tables, 1 + probes): the own bucket first, then those
        with the least, second least … confident bit flipped."""
        distances = self._distances(embeddings)
        own = self._pack(distances > 0)
        if probes == 0:
            return own[:, :, None]
        grouped = np.abs(distances).reshape(-1, self.tables, self.bits_per_table)
        if probes == 1:
            least = np.argmin(grouped, axis=2, keepdims=True)
        else:
            least = np.argsort(grouped, axis=2, kind="stable")[:, :, :probes]
        flips = np.uint16(1) << least.astype(np.uint16)
        return np.concatenate([own[:, :, None], own[:, :, None] ^ flips], axis=2)

    def _distances(self, embeddings: Vector) -> Vector:
        """Embeddings (n, dimension) -> how far each is on one side of each plane, (n, tables * bits_per_table)."""
        if self.projection is not None:
            embeddings = self.projection.apply(unit_rows(embeddings))
        distances: Vector = embeddings @ self.planes
        return distances

    def _pack(self, bits: npt.NDArray[np.bool_]) -> Code:
        grouped = bits.reshape(-1, self.tables, self.bits_per_table)
        weights = (1 << np.arange(self.bits_per_table)).astype(np.uint16)
        packed: Code = (grouped * weights).sum(axis=2, dtype=np.uint16)
        return packed


def terms(code: Code) -> tuple[LshTerm, ...]:
    """A code (tables,) as keywords: table number in decimal, bucket in hex, "17.a3f"."""
    return tuple(LshTerm(f"{table}.{bucket:x}") for table, bucket in enumerate(code.tolist()))


def query_terms(query: Code) -> tuple[LshTerm, ...]:
    """The terms a probe asks for, of shape (tables, 1 + probes): its own first; all of them different."""
    return tuple(term for column in query.T for term in terms(column))


def overlaps(query: npt.NDArray[np.uint16], codes: Code) -> npt.NDArray[np.int32]:
    """Term overlap of one query (tables, 1 + probes) with many codes (n, tables): shape (n,), as the index counts."""
    # Column by column: one array of three dimensions takes eighteen times as long.
    matched = codes == query[:, 0]
    for probe in query.T[1:]:
        matched |= codes == probe
    counts: npt.NDArray[np.int32] = matched.sum(axis=1, dtype=np.int32)
    return counts


def _normal_stream(seed: int, count: int) -> npt.NDArray[np.float64]:
    """Standard normal numbers from SHAKE-256: equal in every build of numpy, unlike its Generators' streams."""
    raw = hashlib.shake_256(f"neardup-planes-{seed}".encode()).digest(16 * ((count + 1) // 2))
    uniform = (np.frombuffer(raw, dtype="<u8") >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    radius = np.sqrt(-2.0 * np.log1p(-uniform[0::2]))
    angle = 2.0 * np.pi * uniform[1::2]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
