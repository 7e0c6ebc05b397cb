from dataclasses import replace

import pytest

from indexer.deletion import deletion
from neardup.commands import Erase
from neardup.errors import InvalidMessageError
from neardup.records import decode_request, encode_request
from neardup.types import ImageId, Source

SOURCE = Source(topic="n.embeddings.lsh", partition=3, offset=17)


def test_a_message_without_a_value_erases_what_its_key_names() -> None:
    command = deletion("fotos/ü 1.jpg".encode(), SOURCE, at_ms=5)
    assert command.body == Erase(image_id=ImageId("fotos/ü 1.jpg"))
    assert (command.actor, command.at_ms) == ("producer", 5)
    assert command.reason == "a message without a value: n.embeddings.lsh, partition 3, offset 17"
    assert decode_request(encode_request(command)) == command


def test_the_longest_names_make_a_valid_command() -> None:
    command = deletion(b"x" * 512, Source(topic="t" * 249, partition=2**31 - 1, offset=2**63 - 1), at_ms=2**53)
    assert decode_request(encode_request(command)) == command


def test_a_message_is_one_command_however_often_it_is_read() -> None:
    first = deletion(b"a", SOURCE, at_ms=5)
    assert deletion(b"a", SOURCE, at_ms=5) == first
    others = [
        deletion(b"a", replace(SOURCE, topic="n.embeddings.score"), at_ms=5),
        deletion(b"a", replace(SOURCE, partition=4), at_ms=5),
        deletion(b"a", replace(SOURCE, offset=18), at_ms=5),
        deletion(b"a", SOURCE, at_ms=6),
    ]
    assert len({one.command_id for one in (first, *others)}) == 5


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (None, "neither a key nor a value"),
        (b"", "key: is empty"),
        (b"\xff\xfe", "key is not UTF-8"),
        (b"a\nb", "key: contains a control character"),
        (b"x" * 513, "key: is longer than 512 bytes"),
    ],
)
def test_a_key_that_is_no_image_id_says_what_is_wrong(key: bytes | None, problem: str) -> None:
    with pytest.raises(InvalidMessageError, match=problem):
        deletion(key, SOURCE, at_ms=5)
