"""A fitted model beside what it was made from: the embeddings as they came, and merely centred."""

from typing import Final

import numpy as np

from neardup.fitting.fit import Rows, centring, components, distinct, fit, held_out
from neardup.fitting.model import FittedModel
from neardup.fitting.report import Figures, SearchShape, altered, measure
from neardup.lsh import LshModel
from neardup.projection import Projection
from neardup.types import Vector

__all__ = ["compare"]

_COSINES: Final = (0.9, 0.8, 0.7)


def compare(embeddings: Vector, pairs: Rows, model: FittedModel, shape: SearchShape) -> dict[str, Figures]:
    """Figures of the embeddings (n, d), words included, "as given", "centred" and "fitted".

    What judges recall has taught nothing: some of the known `pairs` (m, 2) are held out, and a projection like the
    model's is fitted to the others. Without pairs recall is that of made-up copies, which have no word in common with
    their originals.
    """
    whole, embeddings = embeddings, embeddings[:, : embeddings.shape[1] - 2 * model.words]
    groups = components(len(embeddings), pairs)
    different = distinct(embeddings, groups)
    if len(pairs):
        judging = held_out(groups, pairs)
        taught = ~np.isin(groups, groups[pairs[judging, 0]])
        place = np.cumsum(taught) - 1
        projection = fit(embeddings[taught], place[pairs[~judging]], dimension=model.projection.dimension)
        sets = {"known pairs": (whole[pairs[judging, 0]], whole[pairs[judging, 1]])}
    else:
        projection = model.projection
        no_words = np.zeros((len(whole), 2 * model.words), dtype=np.float32)
        copies = {cosine: altered(embeddings, cosine=cosine) for cosine in _COSINES}
        sets = {
            f"made up, cosine {cosine}": (whole, np.concatenate([made, no_words], axis=1))
            for cosine, made in copies.items()
        }

    def figures(projection: Projection | None) -> Figures:
        lsh = LshModel(
            dimension=whole.shape[1],
            embedding_version=model.embeddings,
            tables=model.tables,
            bits_per_table=model.bits_per_table,
            seed=model.seed,
            projection=projection,
            words=model.words,
        )
        return measure(lsh, whole[different], sets, shape)

    return {"as given": figures(None), "centred": figures(centring(embeddings)), "fitted": figures(projection)}
