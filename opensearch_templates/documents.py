"""Images and positions as OpenSearch documents, and back. Pure.

What is read of an image comes from doc values, column by column: reading 200 embeddings that way takes half the time of
reading them from `_source`, which is therefore off. Arrays are little-endian and base64, as OpenSearch wants binary
fields: the score embedding as float16 (half the bytes, no measurable loss), the code packed (`neardup.words`). An image
that is not searchable has no terms. Metadata is kept as labels, which filters can ask for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pybase64

from neardup.lsh import terms
from neardup.times import epoch_ms
from neardup.types import Half, ImageId, IndexedImage, Position
from neardup.words import pack, unpack

__all__ = [
    "IMAGE_FIELDS",
    "document_of_image",
    "document_of_position",
    "hits_of",
    "image_of_fields",
    "label",
    "position_of_document",
    "scores_of_fields",
]

IMAGE_FIELDS: Final = ("id", "seq", "version", "score", "code", "labels", "withheld")
"""The doc values that make up an image."""


def document_of_image(image: IndexedImage) -> dict[str, Any]:
    """What is sent to the index for an image."""
    document: dict[str, Any] = {
        "id": image.image_id,
        "seq": image.seq,
        "version": image.version,
        "score": _encode(image.score.astype("<f2").tobytes()),
        "code": _encode(pack(image.code)),
        "labels": [label(name, value) for name, value in image.metadata.items()],
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


def image_of_fields(fields: Mapping[str, Sequence[Any]]) -> IndexedImage:
    """The image of the doc values `IMAGE_FIELDS`; the score embedding comes back rounded to float16."""
    return IndexedImage(
        image_id=ImageId(fields["id"][0]),
        version=fields["version"][0],
        seq=fields["seq"][0],
        code=unpack(_decode(fields["code"][0]))[:, 0],
        score=scores_of_fields([fields])[0],
        metadata=dict(_piece(text) for text in fields.get("labels", ())),
        searchable="withheld" not in fields,
    )


def scores_of_fields(rows: Sequence[Mapping[str, Sequence[Any]]]) -> list[Half]:
    """The score embeddings of several rows of doc values, each of shape (dimension,); all of one dimension."""
    if not rows:
        return []
    joined = b"".join(_decode(row["score"][0]) for row in rows)
    return list(np.frombuffer(joined, dtype="<f2").astype(np.float16, copy=False).reshape(len(rows), -1))


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


def _piece(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def hits_of(answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The hits of one answer, in which nothing is said of them where there are none."""
    hits: Sequence[Mapping[str, Any]] = answer.get("hits", {}).get("hits", ())
    return hits


def _decode(text: str) -> bytes:
    # Doc values come back without padding; more of it than needed does no harm.
    return pybase64.b64decode(text + "==")


def _encode(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")
