"""The past and the present by the command line, while people give commands and the workers run."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import pytest

from graph.kafka_log import KafkaProposalLog
from neardup.clusters import ClusterState
from neardup.commands import Command, CommandBody, Merge, Promote, Unmerge
from neardup.entries import Entry
from neardup.logs import PartitionReader
from neardup.messages import ClusterMove
from neardup.types import ClusterId, ImageId
from tests.e2e.conftest import Pipeline, PipelineFactory, Sample, as_json, environment
from tests.e2e.verify import read_ledger

pytestmark = pytest.mark.e2e

NAMESPACE = "history"
Run = Callable[..., subprocess.CompletedProcess[str]]


def tell(running: Pipeline, body: CommandBody, *, reason: str) -> None:
    """Send a command, as the command line does."""
    log = KafkaProposalLog(running.wiring.kafka, running.wiring.topics)
    log.append(
        [Command(command_id=str(uuid4()), actor="ann", reason=reason, at_ms=round(time.time() * 1000), body=body)]
    )
    log.close()
    running.drain()


def test_the_past_is_the_ledger_folded_and_the_watch_tells_it(
    pipeline: PipelineFactory, sample: Sample, neardup: Run
) -> None:
    running = pipeline(NAMESPACE)
    running.publish(dict(list(sample.embeddings.items())[:40]))
    running.drain()
    clusters = [info for info in ClusterState(read_ledger(running.wiring)).clusters() if info.size > 2][:2]
    assert len(clusters) == 2
    one, two = clusters
    member = running.wiring.store.members(one.cluster_id).members[-1].image_id
    before = running.wiring.store.position().seq

    with Watch(running, one.head) as watch:
        tell(running, Merge(source=two.head, target=one.head), reason="the same picture")
        merged = running.wiring.store.position().seq
        tell(running, Promote(image_id=member), reason="a better one")
        tell(running, Unmerge(cluster=ImageId(two.cluster_id)), reason="not the same picture")
        # Each member of the other cluster joins and leaves; in between it gives the head.
        told = watch.lines(2 * two.size + 1)
    entries = read_ledger(running.wiring)
    assert_past(neardup, entries, [before, merged, len(entries)])

    joined = {line["image_id"] for line in told if line["kind"] == "joined"}
    assert joined == members(entries[:before], two.cluster_id)
    assert {line["image_id"] for line in told if line["kind"] == "left"} == joined
    assert [line["image_id"] for line in told if line["kind"] == "head"] == [member]
    assert {line["actor"] for line in told} == {"ann"}

    lines = neardup("history", one.head, namespace=NAMESPACE).stdout.splitlines()
    (said,) = (line for line in lines if f"{two.cluster_id} merged into {one.cluster_id}" in line)
    assert said.endswith("[ann: the same picture]")
    assert_moves(running, entries)


class Watch:
    """`neardup watch --json` as a process; `lines` waits for what it prints."""

    def __init__(self, running: Pipeline, head: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "neardup", "watch", head, "--json", "--every", "0.2"],
            env=environment(running.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._process.stderr is not None
        assert "watching cluster" in self._process.stderr.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGINT)
        _, problems = self._process.communicate(timeout=30)
        assert self._process.returncode == 0, problems

    def lines(self, count: int) -> list[dict[str, Any]]:
        """The next lines, each a JSON object."""
        assert self._process.stdout is not None
        return [json.loads(self._process.stdout.readline()) for _ in range(count)]


def members(entries: list[Entry], cluster_id: ClusterId) -> set[ImageId]:
    return {member.image_id for member in ClusterState(entries).members(cluster_id).members}


def assert_past(neardup: Run, entries: list[Entry], seqs: list[int]) -> None:
    """What the command line says of the past is the ledger folded up to there."""
    for seq in seqs:
        state = ClusterState(entries[:seq])
        largest = max(state.clusters(), key=lambda info: info.size)
        some = state.members(largest.cluster_id).members[-1].image_id
        found = as_json(neardup("head", some, "--as-of", str(seq), "--json", namespace=NAMESPACE))
        placement = state.placement(some)
        assert placement is not None
        assert found == {
            "image_id": some,
            "head": largest.head,
            "cluster_id": largest.cluster_id,
            "version": placement.version,
            "seq": placement.seq,
        }
        listed = neardup("members", some, "--as-of", str(seq), "--newest", namespace=NAMESPACE).stdout.split("\n")[:-1]
        assert listed == [m.image_id for m in state.members(largest.cluster_id, order="newest").members]


def assert_moves(running: Pipeline, entries: list[Entry]) -> None:
    """The log of moves, added up, gives the clusters."""
    clusters: dict[str, set[str]] = {}
    reader = PartitionReader(running.wiring.kafka, running.wiring.topics.moves)
    records = [record for start in (0, 1000) for record in reader.read(start, 1000) if record.offset >= start]
    reader.close()
    parts: dict[str, set[str]] = {}
    for record in {record.offset: record for record in records}.values():
        move = ClusterMove.decode(record.value)
        own, other = clusters.setdefault(move.cluster_id or "", set()), clusters.get(move.other_cluster_id or "", set())
        match move.kind:
            case "joined":
                other.discard(move.image_id or "")
                own.add(move.image_id or "")
            case "cluster-merged":
                parts[move.other_cluster_id or ""] = set(other)
                own |= other
                clusters.pop(move.other_cluster_id or "")
            case "cluster-unmerged":
                own |= parts[move.cluster_id or ""]
                other -= own
            case _:
                pass
    expected = {info.cluster_id: members(entries, info.cluster_id) for info in ClusterState(entries).clusters()}
    assert {name: ids for name, ids in clusters.items() if ids} == expected
