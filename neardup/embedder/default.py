"""The default Embedder: a folder of images is enough to start."""

from pathlib import Path
from typing import Final

from neardup.embedder.decode import Decode, decode
from neardup.embedder.features import FEATURES_VERSION, RawFeatures
from neardup.embedder.trunk import GRAPH_VERSION
from neardup.embedder.whitening import Whitening, shipped_whitening
from neardup.points.describe import COUNT
from neardup.settings import load_settings
from neardup.types import Embeddings

__all__ = ["DefaultEmbedder"]


class DefaultEmbedder:
    """EfficientNet-Lite0 and hand-made features, whitened. About 35 ms of one core an image. Thread-safe.

    `cache`: where the network's graph is kept (18 MB); None: the cache directory of the settings.
    `whitening`: None: the shipped one. `decode`: who decodes the file: this process, or `Fence(...).decode`.
    """

    words: Final = COUNT

    def __init__(
        self, cache: Path | None = None, *, whitening: Whitening | None = None, decode: Decode = decode
    ) -> None:
        self._raw = RawFeatures(cache or load_settings().local.cache / "models", decode=decode)
        self._whitening = whitening or shipped_whitening()

    @property
    def version(self) -> str:
        return f"{GRAPH_VERSION}-f{FEATURES_VERSION}-w{self._whitening.digest}"

    @property
    def lsh_dimension(self) -> int:
        return self._whitening.lsh_dimension

    @property
    def score_dimension(self) -> int:
        return self._whitening.score_dimension

    def embed(self, data: bytes) -> Embeddings:
        """See Embedder: shapes (352,) and (1055,), the first 256 of both the same. Raises InvalidImageError."""
        return self._whitening.embed_one(self._raw.of_bytes(data))
