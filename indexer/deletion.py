"""A message without a value on a topic of embeddings: its producer deletes the image that the key names. Pure."""

from typing import Final
from uuid import UUID, uuid5

from neardup.commands import Command, Erase
from neardup.errors import InvalidMessageError
from neardup.messages import validate_image_id
from neardup.types import ImageId, Source

__all__ = ["PRODUCER", "deletion"]

PRODUCER: Final = "producer"
"""The actor of such a command."""

_SPACE: Final = UUID("5f0e3c1c-6f0e-4c57-9d0b-3a8c4b1d2e90")


def deletion(key: bytes | None, source: Source, *, at_ms: int) -> Command:
    """The command that erases the image of this key; `at_ms` is the broker's time of the message.

    The same message gives the same command, whoever reads it and however often. Raises InvalidMessageError when the key
    is not an image id.
    """
    # The time is part of it because offsets begin anew in a topic that was created again.
    name = f"{source.topic}/{source.partition}/{source.offset}/{at_ms}"
    return Command(
        command_id=str(uuid5(_SPACE, name)),
        actor=PRODUCER,
        reason=f"a message without a value: {source.topic}, partition {source.partition}, offset {source.offset}",
        at_ms=at_ms,
        body=Erase(image_id=_image_id(key)),
    )


def _image_id(key: bytes | None) -> ImageId:
    if key is None:
        raise InvalidMessageError("the message has neither a key nor a value")
    try:
        return ImageId(validate_image_id(key.decode()))
    except UnicodeDecodeError as exc:
        raise InvalidMessageError("the message has no value, and its key is not UTF-8", field="key") from exc
    except ValueError as exc:
        raise InvalidMessageError(f"{exc}; the message has no value", field="key") from exc
