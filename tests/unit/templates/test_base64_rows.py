import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_templates.base64_rows import decode_rows, half_floats


@given(st.data(), st.integers(1, 50), st.booleans())
def test_rows_are_what_base64_makes_of_them(data: st.DataObject, length: int, padded: bool) -> None:
    rows = data.draw(st.lists(st.binary(min_size=length, max_size=length), min_size=1, max_size=5))
    texts = [base64.b64encode(row).decode() for row in rows]
    decoded = decode_rows(texts if padded else [text.rstrip("=") for text in texts])
    assert [row.tobytes() for row in decoded] == rows


def test_rows_of_several_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="not of one length"):
        decode_rows(["AAAA", "AAAAAAAA"])


def test_every_half_is_the_float_that_numpy_makes_of_it() -> None:
    halves = np.arange(1 << 16, dtype="<u2")
    floats = half_floats(halves.view(np.uint8).reshape(4, -1))
    assert np.array_equal(floats.ravel(), halves.view("<f2").astype(np.float32), equal_nan=True)
