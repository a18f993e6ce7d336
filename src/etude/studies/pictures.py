"""Figures of evidence: the usual ones, so that a study need only name what they show."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from etude.drawing.evidence import Bars, Line, Scale, intervals
from etude.studies.evidence import Evidence


def bars(
    evidence: Sequence[Evidence],
    *,
    label: str,
    names: Sequence[str] | None = None,
    title: str = "",
    scale: Scale = "linear",
    level: float | None = None,
    level_means: str = "",
) -> Bars:
    """Evidence of one unit as a panel: points with their intervals. `names` stand for what each is."""
    spans = [each.interval for each in evidence]
    return Bars(
        names=list(names or [each.what for each in evidence]),
        values=[each.value for each in evidence],
        low=[span.low if span else each.value for each, span in zip(evidence, spans, strict=True)],
        high=[span.high if span else each.value for each, span in zip(evidence, spans, strict=True)],
        label=label,
        title=title,
        scale=scale,
        level=level,
        level_means=level_means,
    )


def line(
    name: str, x: Sequence[float], evidence: Sequence[Evidence], *, least: float = -math.inf, dashed: bool = False
) -> Line:
    """Evidence of one unit against numbers (n,) as a line, with its intervals as a band.

    The band ends at `least`, below which nothing can be, such as 1 step on a logarithmic axis.
    """
    spans = [each.interval for each in evidence]
    return Line(
        name=name,
        x=x,
        y=[each.value for each in evidence],
        low=[max(least, span.low) if span else each.value for each, span in zip(evidence, spans, strict=True)],
        high=[span.high if span else each.value for each, span in zip(evidence, spans, strict=True)],
        dashed=dashed,
    )


def compared(evidence: Sequence[Evidence], *, label: str, title: str, names: Sequence[str] | None = None) -> Figure:
    """A figure of a single panel of such points."""
    return intervals(bars(evidence, label=label, names=names), title=title)
