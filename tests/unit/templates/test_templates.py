from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from neardup.ports import LARGEST_LIMIT
from neardup.settings import OpenSearchSettings, Settings
from neardup.types import ImageId, IndexedImage, Position
from neardup.words import NO_WORD, WORD
from opensearch_templates.documents import (
    IMAGE_FIELDS,
    document_of_image,
    document_of_position,
    image_of_fields,
    position_of_document,
)
from opensearch_templates.names import IndexNames, projections_index
from opensearch_templates.setup import load_template, template_body


def test_names() -> None:
    names = IndexNames("shop", "0123456789ab")
    assert (names.index, names.read, names.write) == (
        "shop-0123456789ab-000001",
        "shop-0123456789ab-read",
        "shop-0123456789ab-write",
    )
    assert names.pattern == "shop-0123456789ab-0*"
    assert projections_index("shop") == "shop-projections"


def test_the_template_of_an_lsh_version() -> None:
    settings = Settings(namespace="shop", opensearch=OpenSearchSettings(shards=3, replicas=1))
    body = template_body(settings, "0123456789ab")
    index = body["template"]["settings"]["index"]
    assert body["index_patterns"] == ["shop-0123456789ab-0*"]
    assert (index["number_of_shards"], index["number_of_replicas"]) == (3, 1)
    assert body["template"]["mappings"]["_meta"] == {"mapping_version": 2, "lsh_version": "0123456789ab"}
    assert index["max_result_window"] > LARGEST_LIMIT, "one more than the limit is asked for"


def test_the_shipped_template_is_not_changed_by_use() -> None:
    before = load_template("images")
    template_body(Settings(namespace="shop"), "0123456789ab")
    assert load_template("images") == before


def test_every_field_of_a_document_is_in_the_mapping() -> None:
    image = IndexedImage(
        image_id=ImageId("a"),
        version=1,
        seq=1,
        code=np.zeros(2, np.uint16),
        score=np.zeros(2, np.float16),
        metadata={"created_at": "2026-01-31T12:00:00Z"},
    )
    written = document_of_image(image).keys() | document_of_image(replace(image, searchable=False)).keys()
    assert load_template("images")["template"]["mappings"]["properties"].keys() == written
    assert load_template("projections")["mappings"]["properties"].keys() == {
        *document_of_position(Position()),
        "generation",
        "held",
    }


def test_a_document_golden() -> None:
    image = IndexedImage(
        image_id=ImageId("a"),
        version=2,
        seq=3,
        code=np.array([10, 4095], np.uint16),
        score=np.array([1, -2], np.float16),
        metadata={"source": "x", "created_at": "1970-01-01T01:00:01+01:00"},
    )
    document = {
        "id": "a",
        "seq": 3,
        "version": 2,
        "score": "ADwAwA==",
        "code": "CgD/Dw==",
        "labels": ["source=x", "created_at=1970-01-01T01:00:01+01:00"],
        "created_at": 1000,
    }
    assert document_of_image(image) == document | {"terms": ["0.a", "1.fff"]}
    assert document_of_image(replace(image, searchable=False)) == document | {"withheld": True}
    words = document_of_image(replace(image, code=np.array([10, 4095, WORD + 7, NO_WORD], np.uint32)))
    assert words == document | {"code": "CgD/DwcAAID/////Ag==", "terms": ["0.a", "1.fff", "w.7"]}


@given(
    code=npst.arrays(np.uint16, st.integers(1, 8)),
    score=npst.arrays(np.float16, st.integers(1, 8), elements=st.floats(-1000, 1000, width=16)),
    metadata=st.dictionaries(st.text(alphabet="abc_."), st.text()),
    version=st.integers(0, 2**60),
    searchable=st.booleans(),
)
def test_images_survive(
    code: np.ndarray, score: np.ndarray, metadata: dict[str, str], version: int, searchable: bool
) -> None:
    image = IndexedImage(
        image_id=ImageId("a"),
        version=version,
        seq=version + 1,
        code=code,
        score=score.astype(np.float32),
        metadata=metadata,
        searchable=searchable,
    )
    document = document_of_image(image)
    fields: dict[str, Any] = {
        name: document[name] for name in IMAGE_FIELDS if name in document and document[name] != []
    }
    rows = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    back = image_of_fields(rows)
    assert (back.image_id, back.version, back.seq, back.metadata) == ("a", version, version + 1, metadata)
    assert back.searchable == searchable
    np.testing.assert_array_equal(back.code, image.code)
    np.testing.assert_array_equal(back.score, image.score)


@pytest.mark.parametrize("position", [Position(), Position(seq=1, ledger_offset=2**40, proposal_offset=3)])
def test_positions_survive(position: Position) -> None:
    assert position_of_document(document_of_position(position)) == position
