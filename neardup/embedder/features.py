"""An upright picture -> the raw features that whitening turns into embeddings.

The network sees the picture and its mirror image; both pooled layers are averaged over the two. Each block is scaled
to length 1, so that none drowns the others. The signs of low frequencies, the local points and the thumbnail follow as
they are.
"""

from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from PIL import Image
from threadpoolctl import threadpool_limits

from neardup.embedder.decode import Decode, decode
from neardup.embedder.hand import HAND_WIDTHS, hand_features
from neardup.embedder.signs import SIGN_NUMBERS
from neardup.embedder.straighten import straighten
from neardup.embedder.thumbnail import THUMBNAIL, thumbnail
from neardup.embedder.trim import trim
from neardup.embedder.trunk import MIDDLE, SIDE, TOP, ensure_graph
from neardup.points.describe import DESCRIBED, describe
from neardup.types import Vector

__all__ = ["CONTENT_WIDTH", "FEATURES_VERSION", "RAW_WIDTH", "RAW_WIDTHS", "RawFeatures"]

FEATURES_VERSION: Final = 8
"""Raised with every change that gives other features for the same bytes."""
CONTENT_WIDTH: Final = MIDDLE + TOP + sum(HAND_WIDTHS)
"""How many of the raw features, from the first on, are the same for a mirror image and go through the whitening."""
RAW_WIDTHS: Final = (CONTENT_WIDTH, SIGN_NUMBERS, DESCRIBED, THUMBNAIL)
"""Of content, signs, described points and thumbnail, in this order."""
RAW_WIDTH: Final = sum(RAW_WIDTHS)


class RawFeatures:
    """Bytes of an image file -> raw features, shape (RAW_WIDTH,), float32.

    The first one made in a process limits numpy's linear algebra to one thread, for good: with another number of
    threads the same picture would get other last bits, and they would only take the cores from each other.
    """

    def __init__(self, cache: Path, *, decode: Decode = decode) -> None:
        self._decode = decode
        threadpool_limits(1, user_api="blas")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # Warnings of the runtime about its own machine checks are no news for a user.
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(ensure_graph(cache)), options, providers=["CPUExecutionProvider"]
        )

    def of_bytes(self, data: bytes) -> Vector:
        """Raises InvalidImageError."""
        return self.of_image(_unframed(self._decode(data)))

    def of_image(self, image: Image.Image) -> Vector:
        squashed = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
        pixels = np.asarray(squashed, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1.0
        both = np.stack([pixels, pixels[:, :, ::-1]])
        middle, top = (output.mean(axis=0) for output in self._session.run(["middle", "top"], {"image": both}))
        by_hand, signs = hand_features(image)
        blocks = (_unit(block) for block in (middle, top, *by_hand))
        return np.concatenate([*blocks, signs, describe(image), thumbnail(image)]).astype(np.float32)


def _unframed(image: Image.Image) -> Image.Image:
    """What the file shows, upright. What was set upright may have had a frame of its own."""
    trimmed = trim(image)
    upright = straighten(trimmed)
    return trimmed if upright is trimmed else trim(upright)


def _unit(block: Vector) -> Vector:
    unit: Vector = block / (float(np.linalg.norm(block)) + 1e-6)
    return unit
