"""Messages on Kafka: JSON with base64 arrays, validated at the edge. docs/messages.md is written for producers.

The embedding (input), the head change, the cluster change and the move (output). The topic of joined images is between
our own processes, as is what `neardup.records` has.
"""

import binascii
import unicodedata
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pybase64
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
)

from neardup.errors import InvalidMessageError
from neardup.metadata import check_metadata
from neardup.types import ClusterId, Half, Image, ImageId, Vector

__all__ = [
    "Base64",
    "ClusterChange",
    "ClusterMove",
    "EmbeddingMessage",
    "HalfArray",
    "HeadChange",
    "Id",
    "ImageRecord",
    "Message",
    "MoveKind",
    "Version",
    "half",
    "invalid_message",
    "validate_image_id",
]

IMAGE_ID_BYTES = 512


def validate_image_id(value: str) -> str:
    """An image id: 1 to 512 bytes of UTF-8 without control characters. Raises ValueError."""
    if not value:
        raise ValueError("is empty")
    if len(value.encode("utf-8", "surrogatepass")) > IMAGE_ID_BYTES:
        raise ValueError(f"is longer than {IMAGE_ID_BYTES} bytes of UTF-8")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise ValueError("contains a control character or a lone surrogate")
    return value


def _decoded(value: object) -> bytes:
    """Bytes as they are, or out of a text of base64. Raises ValueError."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("is not a string of base64")  # noqa: TRY004 - pydantic wants ValueError
    try:
        return pybase64.b64decode(value, validate=True)
    except binascii.Error as exc:
        raise ValueError(f"is not base64: {exc}") from exc


def _codec(wire: str, native: type[np.generic]) -> tuple[BeforeValidator, PlainSerializer]:
    """A numpy array of dtype `native` as base64 of little-endian `wire` numbers."""
    item = np.dtype(wire).itemsize

    def read(value: object) -> object:
        if isinstance(value, np.ndarray):
            return value.astype(native, copy=False)
        raw = _decoded(value)
        if not raw or len(raw) % item:
            raise ValueError(f"has {len(raw)} bytes, not a positive multiple of {item}")
        return np.frombuffer(raw, dtype=wire).astype(native)

    def write(array: npt.NDArray[np.generic]) -> str:
        return pybase64.b64encode(array.astype(wire).tobytes()).decode("ascii")

    return BeforeValidator(read), PlainSerializer(write, return_type=str)


FloatArray = Annotated[np.ndarray, *_codec("<f4", np.float32)]
HalfArray = Annotated[np.ndarray, *_codec("<f2", np.float16)]
Base64 = Annotated[
    bytes,
    BeforeValidator(_decoded),
    PlainSerializer(lambda raw: pybase64.b64encode(raw).decode("ascii"), return_type=str),
]
"""Bytes as a text of base64."""

Id = Annotated[str, AfterValidator(validate_image_id)]
Version = Annotated[int, Field(ge=0, lt=2**53)]
MetadataName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
MetadataValue = Annotated[str, StringConstraints(max_length=1024)]
Metadata = Annotated[dict[MetadataName, MetadataValue], Field(max_length=32), AfterValidator(check_metadata)]


def invalid_message(error: ValidationError, *, skip: int = 0) -> InvalidMessageError:
    """What pydantic found, as the error of this project: the first field that is wrong, named without the first `skip`
    steps to it."""
    first = error.errors(include_url=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    return InvalidMessageError(reason, field=".".join(map(str, first["loc"][skip:])) or None)


class Message(BaseModel):
    """What all messages have: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @classmethod
    def decode(cls, raw: bytes | None) -> Self:
        """The message in these bytes. Raises InvalidMessageError naming the field that is wrong."""
        if raw is None:
            raise InvalidMessageError("the message has no value")
        try:
            return cls.model_validate_json(raw)
        except ValidationError as exc:
            raise invalid_message(exc) from exc

    @classmethod
    def create(cls, **values: Any) -> Self:
        """The message of these values. Raises InvalidMessageError naming the field that is wrong."""
        try:
            return cls(**values)
        except ValidationError as exc:
            raise invalid_message(exc) from exc

    def encode(self) -> bytes:
        """This message as bytes of JSON."""
        return self.model_dump_json().encode()


class EmbeddingMessage(Message):
    """One embedding of an image: a message of the topics embeddings.lsh and embeddings.score.

    `version` is the producer's and increases; an image is joined from two messages of equal id and version.
    `embedding` is base64 of little-endian float32. Metadata of both sides is merged, the LSH side winning.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    image_id: Id
    version: Version = 0
    embedding: FloatArray
    metadata: Metadata = Field(default_factory=dict)

    def encode(self) -> bytes:
        """This message as bytes of JSON."""
        return self.model_dump_json(by_alias=True).encode()


class ImageRecord(Message):
    """A joined image: an entry of the topic images."""

    image_id: Id
    version: Version
    run: int = 0
    lsh: FloatArray
    score: FloatArray
    metadata: dict[str, str]

    @classmethod
    def of(cls, image: Image) -> Self:
        """The record of an image."""
        return cls(
            image_id=image.image_id,
            version=image.version,
            run=image.run,
            lsh=image.lsh,
            score=image.score,
            metadata=dict(image.metadata),
        )

    def image(self) -> Image:
        """The image of this record."""
        return Image(
            image_id=ImageId(self.image_id),
            version=self.version,
            run=self.run,
            lsh=self.lsh,
            score=self.score,
            metadata=self.metadata,
        )


class HeadChange(Message):
    """One message of the change feed: where an image is now. `revision` grows with every change of any image."""

    schema_version: Literal[1] = Field(1, alias="schema")
    image_id: Id
    cluster_id: ClusterId
    segment: ClusterId
    head: ImageId
    previous_cluster_id: ClusterId | None
    version: Version
    revision: int
    rule: str
    at_ms: int

    def encode(self) -> bytes:
        """This message as bytes of JSON."""
        return self.model_dump_json(by_alias=True).encode()


class ClusterChange(Message):
    """One message of the feed of clusters: a head that changed, or a merge. `root` is the cluster itself, or the one it
    is a part of; `head` is the root's."""

    schema_version: Literal[1] = Field(1, alias="schema")
    cluster_id: ClusterId
    root: ClusterId
    head: ImageId
    revision: int
    reason: Literal["head-changed", "cluster-merged", "cluster-unmerged", "image-erased"]
    at_ms: int

    def encode(self) -> bytes:
        """This message as bytes of JSON."""
        return self.model_dump_json(by_alias=True).encode()


MoveKind = Literal["joined", "head-changed", "cluster-merged", "cluster-unmerged", "image-erased"]


class ClusterMove(Message):
    """One message of the log of moves: a change of the members or the head of some cluster, in the order of `seq`."""

    schema_version: Literal[1] = Field(1, alias="schema")
    seq: int
    kind: MoveKind
    image_id: ImageId | None
    cluster_id: ClusterId | None
    other_cluster_id: ClusterId | None
    head: ImageId | None
    rule: str | None
    actor: str
    reason: str | None
    at_ms: int

    def encode(self) -> bytes:
        """This message as bytes of JSON."""
        return self.model_dump_json(by_alias=True).encode()


def half(vector: Vector) -> Half:
    """As it is stored and scored. What float16 cannot hold becomes infinite."""
    with np.errstate(over="ignore"):
        return vector.astype(np.float16)
