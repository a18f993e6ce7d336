"""A value with its interval and its floor as a strip beside the numbers of a table."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from etude.reports.markup import Html

WIDTH, HEIGHT, MARGIN = 160, 16, 6


@dataclass(frozen=True, kw_only=True)
class Span:
    """What a strip shows. None is not drawn."""

    value: float | None
    low: float | None = None
    high: float | None = None
    floor: float | None = None

    @property
    def numbers(self) -> list[float]:
        """All of it that is there and finite."""
        given = (self.value, self.low, self.high, self.floor)
        return [float(each) for each in given if each is not None and math.isfinite(each)]


def strips(spans: Iterable[Span], *, shared: bool = False) -> list[Html]:
    """A strip for each. With `shared`, all have the same axis, so that they can be compared.

    The thick line is the interval, the point the value, and the upright line the floor. A lone number has no strip.
    """
    spans = list(spans)
    together = [number for span in spans for number in span.numbers]
    return [_strip(span, together if shared else span.numbers) for span in spans]


def _strip(span: Span, axis: list[float]) -> Html:
    if not span.numbers or len(set(axis)) < 2:
        return Html("")
    least, width = min(axis), max(axis) - min(axis)

    def place(number: float) -> str:
        return f"{MARGIN + (WIDTH - 2 * MARGIN) * (number - least) / width:.1f}"

    middle = HEIGHT / 2
    drawn = [f'<path class="axis" d="M0 {middle}H{WIDTH}"/>']
    if span.floor is not None:
        drawn.append(f'<path class="floor" d="M{place(span.floor)} 1V{HEIGHT - 1}"/>')
    if span.low is not None and span.high is not None:
        drawn.append(f'<path class="interval" d="M{place(span.low)} {middle}H{place(span.high)}"/>')
    if span.value is not None and math.isfinite(span.value):
        drawn.append(f'<circle cx="{place(span.value)}" cy="{middle}" r="4"/>')
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return Html(f'<svg class="strip" aria-hidden="true" {size}>{"".join(drawn)}</svg>')


LEGEND = "In the strips, the point is the value, the thick line its 95 % interval, and the upright line its floor."
