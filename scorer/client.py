"""The PairScorer that asks a PredictionService: TensorFlow Serving in production, the embedded one on a laptop.

Most candidates are hopeless at first sight, and of those nobody looks at the points (`scorer.network`). So many pairs
are scored in two questions, as in a cascade (Viola & Jones, CVPR 2001): all of them without points and thumbnails, a
quarter of the bytes, then the promising ones with everything. Few pairs, and models without the first signature, are
scored in one.
"""

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from neardup.errors import ConfigError, ScorerUnavailableError
from neardup.ports import Calibration
from neardup.types import PairBatch, Scores, Vector
from scorer import calibration, wire
from scorer.endpoints import Tls
from scorer.groups import GROUP, grouped
from scorer.layout import version_folder
from scorer.predictor import Offer, Predictor

__all__ = ["TensorFlowServingScorer"]

_VERSION_RACES: Final = 3
_MANY: Final = 1000
"""Pairs, from which on two questions cost less than one."""


class TensorFlowServingScorer:
    """Scores pairs over gRPC. Thread-safe; connects with the first call.

    `endpoint`: host:port, or several with commas between them, which are asked in turn; one that cannot be reached is
    passed over. `tls`: None sends in the clear. `model_dir`: folder of numbered versions with their calibrations; None:
    the shipped ones. `timeout_seconds`: deadline of one batch. A batch of more than `batch_rows` pairs goes out as
    several requests at once; of pairs without points twice as many go into one, of promising ones half as many.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        tls: Tls | None = None,
        model_name: str = "neardup",
        model_dir: Path | None = None,
        timeout_seconds: float = 5.0,
        batch_rows: int = 2048,
    ) -> None:
        self._predictor = Predictor(endpoint, tls, model_name=model_name, timeout=timeout_seconds)
        self._model_name = model_name
        self._model_dir = model_dir
        self._batch_rows = batch_rows
        self._offer: Offer | None = None
        self._calibrations: dict[int, Calibration] = {}

    def calibration(self, model_version: int) -> Calibration:
        """See PairScorer. Raises ConfigError."""
        if model_version not in self._calibrations:
            record = calibration.load(version_folder(self._model_dir, model_version))
            if record.model_version != model_version:
                raise ConfigError(f"calibration of model version {model_version} is for {record.model_version}")
            self._calibrations[model_version] = record.calibration()
        return self._calibrations[model_version]

    def score(self, batch: PairBatch) -> Scores:
        """See PairScorer. Raises ScorerUnavailableError; ConfigError when the model refuses the shape of the inputs."""
        if len(batch) == 0:
            return Scores(values=np.empty(0, np.float32), model_version=self.served_version())
        for race in range(_VERSION_RACES):
            if race == 0 and len(batch) >= _MANY:
                values, version = self._in_two_questions(batch)
            else:
                # While a new version comes, servers may differ for a moment: then one of them answers everything.
                values, version = self._in_one_question(batch, spread=race == 0)
            if version is not None:
                if self._offer is not None and self._offer.version not in {None, version}:
                    self._offer = None
                return Scores(values=values, model_version=version)
        raise ScorerUnavailableError(f"{self._model_name}: the model keeps changing while a batch is scored")

    def served_version(self) -> int:
        """The newest version that is ready. Raises ScorerUnavailableError when none is."""
        return self._predictor.served_version()

    def close(self) -> None:
        """Give the connections back."""
        self._predictor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _in_one_question(self, batch: PairBatch, *, spread: bool) -> tuple[Vector, int | None]:
        """Scores, and the version that gave them; None when it was not one."""
        deadline = self._predictor.deadline()
        (scores,), version = self._asked(wire.SIGNATURE, batch, self._batch_rows, deadline, spread=spread)
        return scores, version

    def _in_two_questions(self, batch: PairBatch) -> tuple[Vector, int | None]:
        """As `_in_one_question`; no version also when the served one is not asked like this."""
        offer = self._offer = self._offer or self._predictor.offer()
        width = offer.widths.get(wire.FIRST_SIGHT)
        if width is None:
            return self._in_one_question(batch, spread=True)
        deadline = self._predictor.deadline()
        heads = replace(batch, probes=batch.probes[:, :width], candidates=batch.candidates[:, :width])
        try:
            (scores, promising), version = self._asked(wire.FIRST_SIGHT, heads, 2 * self._batch_rows, deadline)
        except ConfigError:
            # Perhaps another version is served by now. If not, one question will tell what is wrong.
            self._offer = None
            return np.empty(0, np.float32), None
        except ScorerUnavailableError:
            # Servers have other codes for a signature that is gone: the next batch asks what there is.
            self._offer = None
            raise
        rows = np.flatnonzero(promising > 0.5)
        if len(rows):
            (checked,), then = self._asked(wire.SIGNATURE, batch.part(rows), self._batch_rows // 2, deadline)
            scores[rows] = checked
            version = version if then == version else None
        return scores, version

    def _asked(
        self, signature: str, batch: PairBatch, rows: int, deadline: float, *, spread: bool = True
    ) -> tuple[list[Vector], int | None]:
        """The outputs of the signature for each pair, and the version that gave them; `rows` pairs in a request."""
        arrays, places = grouped(batch)
        at_once = max(1, rows // GROUP)
        answer = self._predictor.ask(signature, arrays, at_once=at_once, spread=spread, deadline=deadline)
        found: list[Vector] = []
        for name in wire.OUTPUTS[signature]:
            values = answer.outputs.get(name, np.empty(0, np.float32))
            if len(values) != arrays[wire.OVERLAP].size or not np.all((values >= 0) & (values <= 1)):
                raise ScorerUnavailableError(
                    f"{self._model_name}: output {name} is not {arrays[wire.OVERLAP].size} numbers from 0 to 1"
                )
            found.append(values[places])
        return found, answer.version
