"""Words of local points, as embeddings bring them and as codes hold them.

An LSH embedding may end with words: what local points of the picture look like, 22 bits each. Two pictures with a word
in common share a term. An embedding has two numbers a word, whole and from 1 to 2,048, so that float16 keeps them; 0 0
stands for no word. A code has one number a word, marked by the bit WORD, ascending, each once; NO_WORD fills up.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from neardup.errors import InvalidMessageError
from neardup.types import Code, Vector

__all__ = [
    "MOST_WORDS",
    "NO_WORD",
    "WORD",
    "check_words",
    "count_tables",
    "each_word",
    "pack",
    "shared_words",
    "unpack",
    "words_of",
]

MOST_WORDS: Final = 255
WORD: Final = 1 << 31
NO_WORD: Final = (1 << 32) - 1

_LARGEST: Final = 2_048
_LOWEST: Final = (1 << 16) - 1

Words = npt.NDArray[np.uint32]


def check_words(embedding: Vector, words: int) -> None:
    """Raises InvalidMessageError unless the last `words` pairs of a finite embedding (d,) are words or 0 0."""
    first = len(embedding) - 2 * words
    numbers = embedding[first:]
    wrong = np.flatnonzero((numbers != np.floor(numbers)) | (numbers < 0) | (numbers > _LARGEST))
    if len(wrong):
        raise InvalidMessageError(
            f"[{first + wrong[0]}] is {numbers[wrong[0]]:g}: the last {2 * words} numbers are words, whole numbers "
            f"from 1 to {_LARGEST}, or 0 0 for none",
            field="embedding",
        )
    pairs = numbers.reshape(-1, 2)
    halves = np.flatnonzero((pairs == 0).sum(axis=1) == 1)
    if len(halves):
        place, (one, other) = first + 2 * halves[0], pairs[halves[0]]
        raise InvalidMessageError(
            f"[{place}] and [{place + 1}] are {one:g} and {other:g}: a word is two numbers from 1 to {_LARGEST}, "
            "none is 0 0",
            field="embedding",
        )


def each_word(numbers: Vector) -> Words:
    """The ends of embeddings, (n, 2 * words), valid -> their words as they come, (n, words)."""
    pairs = numbers.reshape(len(numbers), numbers.shape[1] // 2, 2).astype(np.uint32)
    high, low = pairs[:, :, 0], pairs[:, :, 1]
    return np.where(high == 0, np.uint32(NO_WORD), np.uint32(WORD) | ((high - 1) * np.uint32(_LARGEST) + (low - 1)))


def words_of(numbers: Vector) -> Words:
    """The ends of embeddings, (n, 2 * words), valid -> the ends of their codes, (n, words)."""
    words = each_word(numbers)
    words.sort(axis=1)
    words[:, 1:][words[:, 1:] == words[:, :-1]] = NO_WORD
    words.sort(axis=1)
    return words


def count_tables(code: Code) -> int:
    """How many buckets a code (tables + words,) begins with."""
    return len(code) if code.dtype == np.uint16 else int(np.count_nonzero(code < WORD))


def shared_words(asked: Sequence[Code], ends: Code) -> npt.NDArray[np.int32]:
    """How many of the words of each of several codes, (w,) each, each of the ends of others, (n, w), has: shape (number
    of codes, n)."""
    words = np.concatenate(asked)
    owners = np.repeat(np.arange(len(asked)), [len(own) for own in asked])
    order = np.argsort(words, kind="stable")[: np.count_nonzero(words != NO_WORD)]
    words, owners = words[order], owners[order]
    # One look at a small table for each word of the ends, by its lowest bits, instead of a comparison with each word
    # that is asked for: of 2,000 codes that is twenty times as fast. The few that it lets through are compared.
    table = np.zeros(_LOWEST + 1, dtype=np.bool_)
    table[words & np.uint32(_LOWEST)] = True
    maybe = np.flatnonzero(table[(ends & np.uint32(_LOWEST)).astype(np.intp)])
    rows, columns = np.divmod(maybe, ends.shape[1])
    found = ends[rows, columns]
    first = np.searchsorted(words, found, "left")
    times = np.searchsorted(words, found, "right") - first
    # One pair for each code that a word of the ends was asked by.
    pairs = np.arange(times.sum()) + np.repeat(first - np.cumsum(times) + times, times)
    cells = owners[pairs] * len(ends) + np.repeat(rows, times)
    return np.bincount(cells, minlength=len(asked) * len(ends)).astype(np.int32).reshape(len(asked), len(ends))


def pack(code: Code) -> bytes:
    """A code (tables + words,), or what a probe asks for (tables + words, 1 + probes), as bytes: the buckets as
    little-endian uint16; then, if codes have words, these as uint32, and their number as one byte, which makes the
    length odd."""
    own = code.reshape(len(code), -1)[:, 0]
    tables = count_tables(own)
    buckets = code[:tables].astype("<u2").tobytes()
    if tables == len(own):
        return buckets
    return buckets + own[tables:].astype("<u4").tobytes() + bytes([len(own) - tables])


def unpack(raw: bytes, *, columns: int = 1) -> Code:
    """What `pack` made, of shape (tables + words, columns). Raises ValueError."""
    words = raw[-1] if len(raw) % 2 else 0
    end = len(raw) - 4 * words - len(raw) % 2
    if end <= 0 or end // 2 % columns:
        raise ValueError(f"has {max(end, 0) // 2} buckets, not a multiple of {columns} (probes + 1)")
    buckets = np.frombuffer(raw, dtype="<u2", count=end // 2).astype(np.uint16).reshape(-1, columns)
    if len(raw) % 2 == 0:
        return buckets
    ends = np.full((words, columns), NO_WORD, dtype=np.uint32)
    ends[:, 0] = np.frombuffer(raw, dtype="<u4", count=words, offset=end)
    return np.concatenate([buckets.astype(np.uint32), ends])
