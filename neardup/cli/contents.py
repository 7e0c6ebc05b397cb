"""What the index must hold of images: from the proposals that were decided about, else from the joined images."""

from collections.abc import Collection, Iterator

from neardup.cli.wiring import Wiring
from neardup.folding import LedgerFold
from neardup.messages import half
from neardup.ports import ProposalLog
from neardup.types import Code, Half, ImageId, Proposal

__all__ = ["Content", "contents_of"]

Content = tuple[Code, Half, dict[str, str]]
"""Code, score embedding as it is stored, and metadata of an image."""


def contents_of(
    wiring: Wiring, proposals: ProposalLog, fold: LedgerFold, image_ids: Collection[ImageId]
) -> Iterator[tuple[ImageId, Content]]:
    """The content of these images as they were last decided, in no stated order; the last one given of an image counts.

    Those of which neither the proposal nor the joined image of that version is left are not given. The joined image
    gives the code of the same embedding; in the rare case that a number of it lies on a plane, to the last bit, the
    code may have another bit there. Raises LogUnavailableError.
    """
    wanted = {fold.contents[image_id]: image_id for image_id in image_ids if image_id in fold.contents}
    missing = set(wanted.values())
    offset, last = min(wanted, default=0), max(wanted, default=-1)
    while offset <= last and (some := proposals.read(offset=offset)):
        for at, request in some:
            if at in wanted and isinstance(request, Proposal):
                missing.discard(wanted[at])
                yield wanted[at], (request.query[:, 0], request.score, dict(request.metadata))
        offset = some[-1][0] + 1
    if missing:
        yield from _from_images(wiring, fold, missing)


def _from_images(wiring: Wiring, fold: LedgerFold, missing: Collection[ImageId]) -> Iterator[tuple[ImageId, Content]]:
    from indexer.kafka_images import KafkaImages

    with KafkaImages(wiring.kafka, wiring.topics, partitions=wiring.settings.kafka.partitions) as images:
        for image_id, kept in images.all():
            if image_id not in missing or kept is None:
                continue
            image, placement = kept[1], fold.state.placement(image_id)
            if placement is not None and image.version == placement.version:
                code = wiring.lsh.codes(image.lsh[None, :])[0]
                yield image_id, (code, half(image.score), dict(image.metadata))
