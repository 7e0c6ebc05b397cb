"""Images and positions as OpenSearch documents, and back. Pure.

Arrays are little-endian and base64, as OpenSearch wants binary fields: the score embedding as float16 (half the bytes,
no measurable loss), the code as uint16. The terms are derived from the code and are not kept in `_source`; an image
that is not searchable has none. Metadata can be asked for by its labels.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neardup.lsh import terms
from neardup.times import epoch_ms
from neardup.types import Code, ImageId, IndexedImage, Position, Vector

__all__ = [
    "document_of_image",
    "document_of_position",
    "image_of_document",
    "label",
    "position_of_document",
    "scores_of_documents",
]


def document_of_image(image: IndexedImage) -> dict[str, Any]:
    """What is sent to the index for an image."""
    document: dict[str, Any] = {
        "seq": image.seq,
        "version": image.version,
        "score": _encode(image.score.astype("<f2").tobytes()),
        "code": _encode(image.code.astype("<u2").tobytes()),
        "labels": [label(name, value) for name, value in image.metadata.items()],
        "metadata": dict(image.metadata),
    }
    if image.searchable:
        document["terms"] = list(terms(image.code))
    else:
        document["withheld"] = True
    if "created_at" in image.metadata:
        document["created_at"] = epoch_ms(image.metadata["created_at"])
    return document


def label(name: str, value: str) -> str:
    """A piece of metadata as the keyword that filters ask for. Names have no "=", so no two pieces share a label."""
    return f"{name}={value}"


def image_of_document(image_id: str, source: Mapping[str, Any]) -> IndexedImage:
    """The image of a `_source`; the score embedding comes back rounded to float16."""
    return IndexedImage(
        image_id=ImageId(image_id),
        version=source["version"],
        seq=source["seq"],
        code=_decode_code(source["code"]),
        score=_decode_scores([source["score"]])[0],
        metadata=source["metadata"],
        searchable="withheld" not in source,
    )


def scores_of_documents(sources: Sequence[Mapping[str, Any]]) -> list[Vector]:
    """The score embeddings of several `_source`, each float32 of shape (dimension,); all of the same dimension."""
    return _decode_scores([source["score"] for source in sources])


def document_of_position(position: Position) -> dict[str, int]:
    """The position document of an index."""
    return {
        "seq": position.seq,
        "ledger_offset": position.ledger_offset,
        "proposal_offset": position.proposal_offset,
    }


def position_of_document(source: Mapping[str, int]) -> Position:
    """The position that `document_of_position` wrote."""
    return Position(seq=source["seq"], ledger_offset=source["ledger_offset"], proposal_offset=source["proposal_offset"])


def _decode_scores(texts: Sequence[str]) -> list[Vector]:
    if not texts:
        return []
    joined = b"".join(map(base64.b64decode, texts))
    return list(np.frombuffer(joined, dtype="<f2").astype(np.float32).reshape(len(texts), -1))


def _decode_code(text: str) -> Code:
    return np.frombuffer(base64.b64decode(text), dtype="<u2").astype(np.uint16)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
