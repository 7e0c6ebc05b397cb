"""The examples of docs/messages.md and of the README are what the code reads and writes."""

import json
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from neardup.entries import Rule
from neardup.errors import InvalidMessageError
from neardup.messages import ClusterChange, ClusterMove, EmbeddingMessage, HeadChange, MoveKind
from neardup.metadata import MEANINGS

ROOT = Path(__file__).parents[3]
MESSAGES = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _example(text: str, name: str) -> str:
    found = re.search(rf"<!-- example:{name} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert found, name
    return found[1]


def test_the_embedding_is_read() -> None:
    message = EmbeddingMessage.decode(_example(MESSAGES, "embedding").encode())
    np.testing.assert_array_equal(message.embedding, np.array([1, -2, 0.5, 0], dtype=np.float32))
    assert message.image_id == "photos/4711.jpg"
    assert message.version == 3


def test_the_embedding_has_every_field_that_is_written() -> None:
    raw = _example(MESSAGES, "embedding")
    assert json.loads(EmbeddingMessage.decode(raw.encode()).encode()) == json.loads(raw)


def test_a_field_too_many_is_refused_as_the_page_says() -> None:
    value = json.loads(_example(MESSAGES, "embedding")) | {"colour": "red"}
    with pytest.raises(InvalidMessageError, match="colour"):
        EmbeddingMessage.decode(json.dumps(value).encode())


def test_the_head_change_is_what_is_written() -> None:
    raw = _example(MESSAGES, "head-change")
    assert json.loads(HeadChange.decode(raw.encode()).encode()) == json.loads(raw)


def test_the_cluster_change_is_what_is_written() -> None:
    raw = _example(MESSAGES, "cluster-change")
    assert json.loads(ClusterChange.decode(raw.encode()).encode()) == json.loads(raw)


def test_the_move_is_what_is_written() -> None:
    raw = _example(MESSAGES, "move")
    assert json.loads(ClusterMove.decode(raw.encode()).encode()) == json.loads(raw)
    assert [kind for kind in get_args(MoveKind) if f"| `{kind}` |" not in MESSAGES] == []


def test_every_rule_is_explained() -> None:
    assert [rule for rule in get_args(Rule) if f"| `{rule}` |" not in MESSAGES] == []


@pytest.mark.parametrize(("text", "name"), [(MESSAGES, "producer"), (README, "python")])
def test_programs_compile(text: str, name: str) -> None:
    compile(_example(text, name), name, "exec")


def test_every_name_of_metadata_with_a_meaning_is_explained() -> None:
    table = re.findall(
        r"^\| `(\w+)` \| (.*?) \|$", MESSAGES.split("**Metadata.**")[1].split("**The partition.**")[0], re.MULTILINE
    )
    assert [name for name, _ in table] == list(MEANINGS)
