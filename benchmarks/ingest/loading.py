"""Fills a namespace with a corpus: its proposals and its ledger are written as they would have been decided, then the
product's own projections are made from them. So ledger, graph, index, cache and feed agree, without the search of every
image. The embeddings of the corpus are not in Kafka.
"""

import time

import numpy as np

from benchmarks.ingest.images import BLOCK, Images, corpus, image_id
from benchmarks.ingest.workers import Roles
from graph.kafka_log import KafkaLedgerWriter, KafkaProposalLog
from neardup.cli.drain import Drain
from neardup.cli.wiring import Wiring
from neardup.entries import Decision, Evidence
from neardup.messages import half
from neardup.types import ClusterId, Match, PairBatch, Proposal, Source

__all__ = ["load"]

_AT_ONCE = 1_000
_LONGEST_SECONDS = 3_600.0


def load(wiring: Wiring, roles: Roles, rows: range) -> dict[str, float]:
    """Write these rows (whole blocks, the ledger ends before them) and return when every projection has them; no role
    may run. Returns how many images a second each projection took in, while all of them did."""
    proposals = KafkaProposalLog(wiring.kafka, wiring.topics)
    writer = KafkaLedgerWriter(wiring.kafka, wiring.topics)
    drain = Drain(wiring.settings)
    try:
        end, seq = proposals.end(), drain.decisions()
        for block in range(rows.start // BLOCK, rows.stop // BLOCK):
            made = _proposals(wiring, corpus(block), block * BLOCK)
            for start in range(0, BLOCK, _AT_ONCE):
                some = made[start : start + _AT_ONCE]
                proposals.append(some)
                writer.append([_decision(one, seq + n + 1, end + n) for n, one in enumerate(some)])
                end, seq = end + len(some), seq + len(some)
        begun = time.monotonic()
        rates: dict[str, float] = {}
        with roles.running({"project": 1}):
            while len(rates) < len(applied := drain.applied()):
                roles.check()
                spent = time.monotonic() - begun
                for name, reached in applied.items():
                    if reached >= seq:
                        rates.setdefault(name, len(rows) / spent)
                if spent > _LONGEST_SECONDS:
                    raise RuntimeError("the projections did not take in the corpus")
                time.sleep(0.5)
        return rates
    finally:
        for part in (proposals, writer, drain):
            part.close()


def _proposals(wiring: Wiring, images: Images, first: int) -> list[Proposal]:
    one = images.score[:1]
    pair = PairBatch.of_pairs(probes=one, candidates=one, overlap=np.ones(1, dtype=np.int32))
    model_version = wiring.scorer.score(pair).model_version
    calibration = wiring.scorer.calibration(model_version)
    queries = wiring.lsh.query_codes(images.lsh, probes=wiring.settings.search.probes)
    scores = half(images.score)
    now = int(time.time() * 1000)
    made = []
    for at, parent in enumerate(images.parents.tolist()):
        matches = () if parent < 0 else (Match(image_id=image_id("corpus", parent), overlap=20, score=0.999),)
        made.append(
            Proposal(
                image_id=image_id("corpus", first + at),
                version=0,
                run=0,
                query=queries[at],
                score=scores[at],
                metadata={"source": "corpus"},
                searched_seq=0,
                candidate_limit=wiring.settings.search.candidate_limit,
                cutoff_overlap=0,
                matches=matches,
                match_threshold=calibration.match_threshold,
                witness_bound=calibration.witness_bound,
                head_bound=calibration.head_bound,
                lsh_version=wiring.lsh.version,
                model_version=model_version,
                source=Source(topic=wiring.topics.images, partition=0, offset=first + at),
                at_ms=now,
            )
        )
    return made


def _decision(proposal: Proposal, seq: int, offset: int) -> Decision:
    head = proposal.matches[0].image_id if proposal.matches else proposal.image_id
    return Decision(
        seq=seq,
        image_id=proposal.image_id,
        version=0,
        run=0,
        cluster_id=ClusterId(head),
        segment=ClusterId(head),
        head=head,
        previous_cluster=None,
        previous_seq=None,
        rule="best-match" if proposal.matches else "no-candidate",
        indexed=True,
        evidence=Evidence(
            matches=proposal.matches,
            bridges=(),
            match_threshold=proposal.match_threshold,
            witness_bound=proposal.witness_bound,
            head_bound=proposal.head_bound,
            head_score=None,
            lsh_version=proposal.lsh_version,
            model_version=proposal.model_version,
            source=proposal.source,
        ),
        proposal_offset=offset,
        actor="assigner",
        at_ms=proposal.at_ms,
    )
