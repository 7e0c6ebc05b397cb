"""What each method sees of a picture: embeddings, PDQ, pHash, and the plain top layer of the network."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from neardup.embedder.decode import decode
from neardup.embedder.default import DefaultEmbedder
from neardup.embedder.trunk import SIDE, ensure_graph
from neardup.embedder.whitening import Whitening
from neardup.evaluation.manifest import Row
from neardup.settings import load_settings
from neardup.types import Embeddings, Vector

__all__ = ["PACKAGES", "Views", "embed_ms", "missing_packages", "see"]

PACKAGES: Final = {"pdqhash": "pdqhash==0.2.8", "imagehash": "ImageHash==4.3.2"}

Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Views:
    """Of n pictures: `embeddings`, and for the peers `pdq` (n, 32) and `phash` (n, 8), packed bits, and `top`
    (n, 1280), rows of length 1."""

    embeddings: list[Embeddings]
    pdq: Bits
    phash: Bits
    top: Vector

    def of(self, numbers: Sequence[int]) -> "Views":
        """The views of some of the pictures."""
        chosen = list(numbers)
        return Views(
            embeddings=[self.embeddings[number] for number in chosen],
            pdq=self.pdq[chosen],
            phash=self.phash[chosen],
            top=self.top[chosen],
        )


def missing_packages() -> list[str]:
    """What must be installed before."""
    return [requirement for name, requirement in PACKAGES.items() if find_spec(name) is None]


def see(rows: Sequence[Row], whitening: Path | None = None) -> Views:
    """All views of all pictures, on all cores. `whitening`: another one than the shipped."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        seen = list(pool.map(_see, [row.file for row in rows], [whitening] * len(rows), chunksize=16))
    embeddings, pdq, phash, top = zip(*seen, strict=True)
    return Views(embeddings=list(embeddings), pdq=np.stack(pdq), phash=np.stack(phash), top=np.stack(top))


def embed_ms(rows: Sequence[Row]) -> float:
    """Milliseconds that one core takes for one image, decoding included: the median of at most 80."""
    embedder = _embedder(None)
    taken = []
    for row in rows[:: max(1, len(rows) // 80)]:
        data = row.file.read_bytes()
        begun = time.process_time()
        embedder.embed(data)
        taken.append((time.process_time() - begun) * 1000)
    return float(np.median(taken[1:]))


def _see(file: Path, whitening: Path | None) -> tuple[Embeddings, Bits, Bits, Vector]:
    data = file.read_bytes()
    image = decode(data)
    bits, _ = import_module("pdqhash").compute(np.asarray(image))
    with Image.open(BytesIO(data)) as opened:
        perceptual = import_module("imagehash").phash(opened.convert("RGB"))
    return (
        _embedder(whitening).embed(data),
        np.packbits(np.asarray(bits, dtype=np.uint8)),
        np.packbits(np.asarray(perceptual.hash, dtype=np.uint8).ravel()),
        _top(image),
    )


@lru_cache(1)
def _embedder(whitening: Path | None) -> DefaultEmbedder:
    return DefaultEmbedder(whitening=Whitening.load(whitening) if whitening else None)


@lru_cache(1)
def _network() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    graph = ensure_graph(load_settings().local.cache / "models")
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _top(image: Image.Image) -> Vector:
    """The top layer as the network was published to be used: the whole picture, no training of ours."""
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32)
    (output,) = _network().run(["top"], {"image": (pixels.transpose(2, 0, 1) / 127.5 - 1)[None]})
    unit: Vector = output[0] / np.linalg.norm(output[0])
    return unit
