"""Messages on Kafka: JSON with base64 arrays, validated at the edge. docs/messages.md is written for producers.

Two are public: the embedding (input) and the head change (output). The rest is between our own processes.
"""

import base64
import binascii
import unicodedata
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from neardup.errors import InvalidMessageError
from neardup.metadata import check_metadata
from neardup.types import ClusterId, Decision, Image, ImageId, Match, Proposal, Source, Vector

__all__ = [
    "EmbeddingMessage",
    "HeadChange",
    "ImageRecord",
    "ProposalRecord",
    "RequeueRecord",
    "decode_decision",
    "encode_decision",
    "half",
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


def _codec(wire: str, native: type[np.generic]) -> tuple[BeforeValidator, PlainSerializer]:
    """A numpy array of dtype `native` as base64 of little-endian `wire` numbers."""
    item = np.dtype(wire).itemsize

    def read(value: object) -> object:
        if isinstance(value, np.ndarray):
            return value.astype(native, copy=False)
        if not isinstance(value, str):
            raise ValueError("is not a string of base64")  # noqa: TRY004 - pydantic wants ValueError
        try:
            raw = base64.b64decode(value, validate=True)
        except binascii.Error as exc:
            raise ValueError(f"is not base64: {exc}") from exc
        if not raw or len(raw) % item:
            raise ValueError(f"has {len(raw)} bytes, not a positive multiple of {item}")
        return np.frombuffer(raw, dtype=wire).astype(native)

    def write(array: npt.NDArray[np.generic]) -> str:
        return base64.b64encode(array.astype(wire).tobytes()).decode("ascii")

    return BeforeValidator(read), PlainSerializer(write, return_type=str)


FloatArray = Annotated[np.ndarray, *_codec("<f4", np.float32)]
HalfArray = Annotated[np.ndarray, *_codec("<f2", np.float32)]
BucketArray = Annotated[np.ndarray, *_codec("<u2", np.uint16)]

Id = Annotated[str, AfterValidator(validate_image_id)]
Version = Annotated[int, Field(ge=0, lt=2**53)]
MetadataName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
MetadataValue = Annotated[str, StringConstraints(max_length=1024)]
Metadata = Annotated[dict[MetadataName, MetadataValue], Field(max_length=32), AfterValidator(check_metadata)]


def _invalid(error: ValidationError) -> InvalidMessageError:
    first = error.errors(include_url=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    return InvalidMessageError(reason, field=".".join(map(str, first["loc"])) or None)


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @classmethod
    def decode(cls, raw: bytes | None) -> Self:
        """The message in these bytes. Raises InvalidMessageError naming the field that is wrong."""
        if raw is None:
            raise InvalidMessageError("has no value; deleting an image by such a message is not supported yet")
        try:
            return cls.model_validate_json(raw)
        except ValidationError as exc:
            raise _invalid(exc) from exc

    @classmethod
    def create(cls, **values: Any) -> Self:
        """The message of these values. Raises InvalidMessageError naming the field that is wrong."""
        try:
            return cls(**values)
        except ValidationError as exc:
            raise _invalid(exc) from exc

    def encode(self) -> bytes:
        """This message as bytes of JSON."""
        return self.model_dump_json().encode()


class EmbeddingMessage(_Message):
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


class ImageRecord(_Message):
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


class ProposalRecord(_Message):
    """A proposal on its way to the assigner. `score` travels as float16: what is scored is what is stored."""

    image_id: Id
    version: Version
    run: int
    probes: int = Field(ge=0)
    query: BucketArray
    score: HalfArray
    metadata: dict[str, str]
    searched_seq: int
    matches: tuple[tuple[str, int, float], ...]
    match_threshold: float
    head_bound: float
    lsh_version: str
    model_version: int
    source: tuple[str, int, int]
    at_ms: int

    @field_validator("query")
    @classmethod
    def _whole_tables(cls, query: np.ndarray, info: ValidationInfo) -> np.ndarray:
        columns = 1 + info.data.get("probes", 0)
        if query.size % columns:
            raise ValueError(f"has {query.size} buckets, not a multiple of {columns} (probes + 1)")
        return query

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        """The record of a proposal."""
        return cls(
            image_id=proposal.image_id,
            version=proposal.version,
            run=proposal.run,
            probes=proposal.query.shape[1] - 1,
            query=proposal.query,
            score=proposal.score,
            metadata=dict(proposal.metadata),
            searched_seq=proposal.searched_seq,
            matches=tuple((match.image_id, match.overlap, match.score) for match in proposal.matches),
            match_threshold=proposal.match_threshold,
            head_bound=proposal.head_bound,
            lsh_version=proposal.lsh_version,
            model_version=proposal.model_version,
            source=(proposal.source.topic, proposal.source.partition, proposal.source.offset),
            at_ms=proposal.at_ms,
        )

    def proposal(self) -> Proposal:
        """The proposal of this record."""
        topic, partition, offset = self.source
        return Proposal(
            image_id=ImageId(self.image_id),
            version=self.version,
            run=self.run,
            query=self.query.reshape(-1, 1 + self.probes),
            score=self.score,
            metadata=self.metadata,
            searched_seq=self.searched_seq,
            matches=tuple(
                Match(image_id=ImageId(image_id), overlap=overlap, score=score)
                for image_id, overlap, score in self.matches
            ),
            match_threshold=self.match_threshold,
            head_bound=self.head_bound,
            lsh_version=self.lsh_version,
            model_version=self.model_version,
            source=Source(topic=topic, partition=partition, offset=offset),
            at_ms=self.at_ms,
        )


class RequeueRecord(_Message):
    """Asks the workers to search again for the image at this place of a topic."""

    image_id: Id
    topic: str
    partition: int
    offset: int


class HeadChange(_Message):
    """One message of the change feed: where an image is now. `revision` grows with every change of any image."""

    schema_version: Literal[1] = Field(1, alias="schema")
    image_id: Id
    cluster_id: ClusterId
    head: ImageId
    previous_cluster_id: ClusterId | None
    version: Version
    revision: int
    rule: str
    at_ms: int

    def encode(self) -> bytes:
        """This message as bytes of JSON."""
        return self.model_dump_json(by_alias=True).encode()


_DECISION = TypeAdapter(Decision)


def encode_decision(decision: Decision) -> bytes:
    """A decision as bytes of JSON: an entry of the ledger topic."""
    return _DECISION.dump_json(decision)


def decode_decision(raw: bytes) -> Decision:
    """The decision in these bytes of the ledger. Raises InvalidMessageError."""
    try:
        return _DECISION.validate_json(raw)
    except ValidationError as exc:
        raise InvalidMessageError(f"not a decision of this version: {_invalid(exc)}") from exc


def half(vector: Vector) -> Vector:
    """A vector rounded to what float16 keeps: scoring uses the stored value everywhere, so every run agrees."""
    return vector.astype(np.float16).astype(np.float32)
