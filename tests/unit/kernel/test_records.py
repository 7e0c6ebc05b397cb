from typing import Any

import pytest

from neardup.commands import Command, Force, Move
from neardup.errors import InvalidMessageError
from neardup.records import decode_change, decode_request, encode_request
from neardup.types import ImageId

A, B = ImageId("a"), ImageId("b")


def command(**changes: Any) -> Command:
    values: dict[str, Any] = {
        "command_id": "6f1e3a52-4b7e-4a63-9d7a-0f5c5d4f1b11",
        "actor": "somebody",
        "reason": None,
        "at_ms": 1,
        "body": Force(image_id=A, into=B),
    }
    return Command(**(values | changes))


def test_a_command_comes_back_as_it_was() -> None:
    assert decode_request(encode_request(command())) == command()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"command_id": "7"}, "command_id: "),
        ({"actor": ""}, "actor: "),
        ({"reason": "x" * 1001}, "reason: "),
        ({"body": Force(image_id=ImageId(""), into=B)}, "body: image id '' is empty"),
        ({"body": Force(image_id=ImageId("a\n"), into=B)}, "contains a control character"),
        ({"body": Move(images=(), to="own")}, "body: images: 0, not between 1 and 1000"),
        ({"body": Move(images=((A, 1), (A, 2)), to="own")}, "body: images: one is named twice"),
        ({"body": Move(images=((A, 1),), to="own", into=B)}, "body: into: goes with to = cluster"),
        ({"body": Move(images=((A, 1),), to="cluster")}, "body: into: goes with to = cluster"),
    ],
    ids=str,
)
def test_a_bad_command_is_refused_before_it_is_sent(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        encode_request(command(**changes))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "the message has no value"),
        (b"{}", "Unable to extract tag using discriminator 'kind'"),
        (b'{"kind": "wish"}', "does not match any of the expected tags: 'proposal', 'command'"),
        (encode_request(command()).replace(b'"force"', b'"push"'), "body: Input tag 'push'"),
    ],
)
def test_what_is_neither_proposal_nor_command_is_said_so(raw: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        decode_request(raw)
    assert reason in str(caught.value)


def test_a_standing_word_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidMessageError, match="not a standing word of this version"):
        decode_change(b"k", b'{"kind": "rumour"}')
