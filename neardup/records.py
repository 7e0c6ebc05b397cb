"""Records between our own processes: proposals, commands, ledger, standing words. JSON, validated at the edge.

Their form may change with any version; docs/messages.md has the public messages.
"""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, ValidationInfo, field_validator

from neardup.commands import LARGEST_MOVE, Command, CommandBody, Move, Request, named_by
from neardup.entries import Entry
from neardup.errors import InvalidMessageError
from neardup.messages import Base64, HalfArray, Id, Message, Version, invalid_message, validate_image_id
from neardup.standing import StandingChange, StandingWord
from neardup.types import ImageId, Match, Proposal, Source
from neardup.words import pack, unpack

__all__ = [
    "CommandRecord",
    "LedgerRecord",
    "ProposalRecord",
    "RequeueRecord",
    "decode_change",
    "decode_entry",
    "decode_request",
    "encode_change",
    "encode_entry",
    "encode_request",
]


class ProposalRecord(Message):
    """A proposal on its way to the assigner. `query` is packed (`neardup.words`); `score` travels as float16: what is
    scored is what is stored."""

    kind: Literal["proposal"] = "proposal"
    image_id: Id
    version: Version
    run: int
    probes: int = Field(ge=0)
    query: Base64
    score: HalfArray
    metadata: dict[str, str]
    searched_seq: int
    candidate_limit: int
    cutoff_overlap: int = 0
    matches: tuple[tuple[str, int, float], ...]
    match_threshold: float
    witness_bound: float | None = None
    head_bound: float
    lsh_version: str
    model_version: int
    source: tuple[str, int, int]
    at_ms: int

    @field_validator("query")
    @classmethod
    def _whole_tables(cls, query: bytes, info: ValidationInfo) -> bytes:
        unpack(query, columns=1 + info.data.get("probes", 0))
        return query

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        """The record of a proposal."""
        return cls(
            image_id=proposal.image_id,
            version=proposal.version,
            run=proposal.run,
            probes=proposal.query.shape[1] - 1,
            query=pack(proposal.query),
            score=proposal.score,
            metadata=dict(proposal.metadata),
            searched_seq=proposal.searched_seq,
            candidate_limit=proposal.candidate_limit,
            cutoff_overlap=proposal.cutoff_overlap,
            matches=tuple((match.image_id, match.overlap, match.score) for match in proposal.matches),
            match_threshold=proposal.match_threshold,
            witness_bound=proposal.witness_bound,
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
            query=unpack(self.query, columns=1 + self.probes),
            score=self.score,
            metadata=self.metadata,
            searched_seq=self.searched_seq,
            candidate_limit=self.candidate_limit,
            cutoff_overlap=self.cutoff_overlap,
            matches=tuple(
                Match(image_id=ImageId(image_id), overlap=overlap, score=score)
                for image_id, overlap, score in self.matches
            ),
            match_threshold=self.match_threshold,
            # Workers of before name none: there a match counts by itself or not at all.
            witness_bound=self.match_threshold if self.witness_bound is None else self.witness_bound,
            head_bound=self.head_bound,
            lsh_version=self.lsh_version,
            model_version=self.model_version,
            source=Source(topic=topic, partition=partition, offset=offset),
            at_ms=self.at_ms,
        )


class RequeueRecord(Message):
    """Asks the workers to search again for the image at this place, `candidate_limit` deep if it is given. `run`: that
    of the proposal which was handed back."""

    image_id: Id
    topic: str
    partition: int
    offset: int
    candidate_limit: int | None = None
    run: int = 0


class CommandRecord(Message):
    """A person's command, or a producer's deletion, on its way to the assigner."""

    kind: Literal["command"] = "command"
    command_id: UUID
    actor: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    reason: Annotated[str, StringConstraints(max_length=1000)] | None
    at_ms: Annotated[int, Field(ge=0)]
    body: Annotated[CommandBody, Field(discriminator="kind")]

    @field_validator("body")
    @classmethod
    def _sound(cls, body: CommandBody) -> CommandBody:
        for name in named_by(body):
            try:
                validate_image_id(name)
            except ValueError as exc:
                raise ValueError(f"image id {name!r} {exc}") from exc
        if isinstance(body, Move):
            _check_move(body)
        return body

    @classmethod
    def of(cls, command: Command) -> Self:
        """The record of a command. Raises InvalidMessageError naming the field that is wrong."""
        return cls.create(
            command_id=command.command_id,
            actor=command.actor,
            reason=command.reason,
            at_ms=command.at_ms,
            body=command.body,
        )

    def command(self) -> Command:
        """The command of this record."""
        return Command(
            command_id=str(self.command_id), actor=self.actor, reason=self.reason, at_ms=self.at_ms, body=self.body
        )


class LedgerRecord(Message):
    """An entry of the ledger, with the number of the form it has."""

    schema_version: Literal[1] = Field(1, alias="schema")
    entry: Annotated[Entry, Field(discriminator="kind")]


def _check_move(move: Move) -> None:
    if not 1 <= len(move.images) <= LARGEST_MOVE:
        raise ValueError(f"images: {len(move.images)}, not between 1 and {LARGEST_MOVE}")
    if len({image_id for image_id, _ in move.images}) < len(move.images):
        raise ValueError("images: one is named twice")
    if (move.to == "cluster") != (move.into is not None):
        raise ValueError("into: goes with to = cluster, and only with that")
    if move.head is not None and move.to != "cluster":
        raise ValueError("head: goes only with to = cluster")


_REQUEST: TypeAdapter[ProposalRecord | CommandRecord] = TypeAdapter(
    Annotated[ProposalRecord | CommandRecord, Field(discriminator="kind")]
)
_WORD: TypeAdapter[StandingWord] = TypeAdapter(Annotated[StandingWord, Field(discriminator="kind")])


def encode_request(request: Request) -> bytes:
    """A proposal or a command as bytes of JSON. Raises InvalidMessageError for a command that is not valid."""
    record = CommandRecord.of(request) if isinstance(request, Command) else ProposalRecord.of(request)
    return record.encode()


def decode_request(raw: bytes | None) -> Request:
    """The proposal or command in these bytes. Raises InvalidMessageError naming the field that is wrong."""
    if raw is None:
        raise InvalidMessageError("the message has no value")
    try:
        record = _REQUEST.validate_json(raw)
    except ValidationError as exc:
        raise invalid_message(exc, skip=1) from exc
    return record.command() if isinstance(record, CommandRecord) else record.proposal()


def encode_entry(entry: Entry) -> bytes:
    """An entry of the ledger as bytes of JSON."""
    return LedgerRecord.model_construct(entry=entry).model_dump_json(by_alias=True).encode()


def decode_entry(raw: bytes) -> Entry:
    """The entry in these bytes of the ledger. Raises InvalidMessageError."""
    try:
        return LedgerRecord.model_validate_json(raw).entry
    except ValidationError as exc:
        raise InvalidMessageError(f"not an entry of this version: {invalid_message(exc)}") from exc


def encode_change(change: StandingChange) -> tuple[bytes, bytes | None]:
    """A change of the standing words as key and value; no value ends the word."""
    return change.key.encode(), None if change.word is None else _WORD.dump_json(change.word)


def decode_change(key: bytes, value: bytes | None) -> StandingChange:
    """The change in this key and value. Raises InvalidMessageError."""
    try:
        word = None if value is None else _WORD.validate_json(value)
    except ValidationError as exc:
        raise InvalidMessageError(f"not a standing word of this version: {invalid_message(exc)}") from exc
    return StandingChange(key=key.decode(), word=word)
