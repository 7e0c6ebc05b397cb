"""Pages of a giant cluster at three depths, by the store, idle and while the cluster grows."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from benchmarks.graph.corpus import Cluster, image_name
from benchmarks.report import Report, percentiles
from neardup.ports import ClusterStore
from neardup.types import Page

__all__ = ["PAGE", "GetPage", "measure_pages", "summarise", "walk_while_growing"]

PAGE: Final = 100
DEPTHS: Final = {"start": 0.0, "middle": 0.5, "end": 1.0}
_JITTER: Final = 0.02
"""Cursors lie within this part of the cluster around a depth: the same page again and again would be too kind."""

Milliseconds = dict[str, list[float]]
"""Of each depth."""

GetPage = Callable[[int], Page]
"""The page after the member of this seq."""


def measure_pages(cluster: Cluster, get: GetPage, *, pages: int, newest: bool = False) -> Milliseconds:
    """The times of `pages` pages at each depth, depths in turn; every page is compared with what was loaded. `newest`:
    `get` gives the page before the member of its seq, and the start is at the newest member."""
    random = np.random.default_rng(cluster.size)
    spent: Milliseconds = {depth: [] for depth in DEPTHS}
    for _ in range(pages):
        for depth, part in DEPTHS.items():
            offset = _offset(cluster.size, part, random)
            after = cluster.last + 1 - offset if newest else cluster.first - 1 + offset
            begun = time.perf_counter()
            page = get(after)
            spent[depth].append((time.perf_counter() - begun) * 1e3)
            seqs = range(after - 1, after - PAGE - 1, -1) if newest else range(after + 1, after + PAGE + 1)
            expected = [image_name(seq) for seq in seqs]
            assert [member.image_id for member in page.members] == expected, f"a wrong page after {after}"
    return spent


def walk_while_growing(report: Report, cluster: Cluster, store: ClusterStore, *, limit: int) -> None:
    """Read all members while others are added: each that was there at the start comes exactly once, in order."""
    begun, members, page = time.perf_counter(), [], store.members(cluster.cluster_id, limit=limit)
    while True:
        members += [member.image_id for member in page.members]
        if page.after is None:
            break
        page = store.members(cluster.cluster_id, after=page.after, limit=limit)
    seconds = time.perf_counter() - begun
    expected = [image_name(seq) for seq in range(cluster.first, cluster.last + 1)]
    assert members[: cluster.size] == expected, "a walk missed a member, or gave one twice"
    assert len(set(members)) == len(members), "a walk gave a member twice"
    report.row(
        "a walk over all members while members come",
        members=cluster.size,
        page=limit,
        seconds=seconds,
        members_a_second=len(members) / seconds,
        came_meanwhile=len(members) - cluster.size,
        each_exactly_once="yes",
    )


def summarise(report: Report, title: str, who: str, cluster: Cluster, spent: Mapping[str, list[float]]) -> None:
    for depth, milliseconds in spent.items():
        report.row(title, who=who, members=cluster.size, depth=depth, **percentiles(milliseconds))


def _offset(size: int, part: float, random: np.random.Generator) -> int:
    """How many members lie before the page."""
    last = size - PAGE
    offset = int(part * last + random.uniform(-_JITTER, _JITTER) * size)
    return min(max(offset, 0), last)
