"""What thresholds give, as one HTML file that needs nothing else: curves and a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment

from neardup.evaluation.thresholds import Limits, Trial

__all__ = ["write_curves"]

_WIDTH: Final = 640
_HEIGHT: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """A line of the drawing; `points` as SVG wants them."""

    name: str
    kind: str
    points: str


def write_curves(
    path: Path,
    trials: Sequence[Trial],
    chosen: Trial | None,
    limits: Limits,
    *,
    facts: Sequence[tuple[str, str]],
) -> None:
    """`facts`: what to print above, name and value. Of the trials those with the chosen head bound are drawn, else
    those with the lowest."""
    bound = chosen.head_bound if chosen else min(trial.head_bound for trial in trials)
    shown = sorted((trial for trial in trials if trial.head_bound == bound), key=lambda trial: trial.threshold)
    curves = [
        _curve("recall", "recall", [trial.recall for trial in shown]),
        _curve("precision, worst source", "worst", [trial.worst_precision for trial in shown]),
        _curve("precision, at least", "bound", [trial.precision_bound for trial in shown]),
    ]
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        (files("neardup.evaluation") / "curves.html.j2").read_text(encoding="utf-8")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    text = template.render(
        facts=facts,
        curves=curves,
        trials=shown,
        chosen=chosen,
        chosen_at=None if chosen is None else _across(shown.index(chosen), len(shown)),
        ticks=[(_across(number, len(shown)), trial.threshold) for number, trial in enumerate(shown) if number % 3 == 0],
        levels=[(_up(level), level) for level in (0.0, 0.25, 0.5, 0.75, 1.0)],
        limits=limits,
        head_bound=bound,
        width=_WIDTH,
        height=_HEIGHT,
    )
    path.write_text(text, encoding="utf-8")


def _curve(name: str, kind: str, values: Sequence[float]) -> _Curve:
    # Thresholds crowd near 1, so they are drawn at even distances.
    points = " ".join(f"{_across(number, len(values)):.1f},{_up(value):.1f}" for number, value in enumerate(values))
    return _Curve(name=name, kind=kind, points=points)


def _across(number: int, count: int) -> float:
    return _WIDTH * number / max(1, count - 1)


def _up(value: float) -> float:
    return _HEIGHT * (1 - value)
