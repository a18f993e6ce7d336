"""What an inspection tells of a sequence network: named axes, cost per token and against length, order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from etude.inspection.sequences.axis_names import legend
from etude.inspection.sequences.dependence import Dependence
from etude.inspection.sequences.growth import Polynomial
from etude.inspection.sequences.position_tables import PositionTable
from etude.inspection.sequences.time_axis import Sequences
from etude.inspection.sequences.variations import Names, Row
from etude.inspection.trace.flops import Cost

FAR = 512
"""A length that the share of what is quadratic is told for."""


@dataclass(frozen=True, eq=False)
class SequenceFacts:
    """All that is told; final."""

    sequences: Sequences
    rows: list[Row]
    """What the table shows."""
    outputs: tuple[Names, ...]
    """Names of the axes of what the network returns."""
    table: PositionTable | None
    """What limits the length."""
    found: Dependence | None
    """None for a large network, which is not run for it."""

    @property
    def forward(self) -> Polynomial | None:
        """FLOPs of one pass as a function of the lengths; None where those of a layer are not."""
        total = Polynomial({})
        for row in self.rows:
            if row.flops is None:
                return None
            total += row.flops
        return total

    @property
    def quadratic(self) -> list[Row]:
        """The layers whose cost per token grows with the length."""
        return [row for row in self.rows if row.flops and row.flops.quadratic.terms]

    def lines(self, forward: Cost, backward: Cost | None) -> list[str]:
        """What is to be said below the table, given the cost of the passes."""
        tokens, letters = self.sequences.tokens, self.sequences.letters
        used = [name for row in self.rows for names in row.axes for name in names or ()]
        least = "at least " if any(row.layer.uncounted for row in self.rows) else ""
        back = f", {least}{round(backward.flops / tokens):,} backward" if backward else ""
        lines = [
            f"axes: {legend(used, letters, self.sequences.lengths)}.",
            f"per token: {least}{round(forward.flops / tokens):,} FLOPs forward{back} ({tokens:,} tokens).",
            *self._growth(),
        ]
        if self.table:
            lines.append(f"length: {self.table.limit:,} at most; {self.table.name} has {self.table.rows:,} rows.")
        if self.found and self.found.causal is not None:
            what = "the steps up to it only" if self.found.causal else "later steps, too"
            lines.append(f"order: a step of the output depends on {what}.")
        return lines

    def _growth(self) -> list[str]:
        total, letters, lengths = self.forward, self.sequences.letters, self.sequences.lengths
        if total is None:
            return ["growth: not known, since the counts of the layers marked with ? are not polynomials."]
        many = "a sequence" if self.sequences.batch == 1 else f"{self.sequences.batch} sequences"
        lines = [f"growth: {many} of {' and '.join(letters)} steps: {total.text(letters)} FLOPs forward."]
        part = total.quadratic
        if not part.terms:
            return [f"{lines[0]} Nothing grows faster than the length."]
        places = [(lengths, ", ".join(f"{t} = {n:,}" for t, n in zip(letters, lengths, strict=True)))]
        if max(lengths) < FAR:
            places.append(((FAR,) * len(lengths), f"{' = '.join(letters)} = {FAR}"))
        shares = [f"{float(100 * part.at(n) / total.at(n)):.3g} % at {where}" for n, where in places]
        shares[0] = shares[0].replace(" at ", " of the work at ")
        names = [f"{row.layer.path or '·'} {row.layer.op}" for row in self.quadratic]
        names = names[:2] + ([f"… ({len(names)} in all)"] if len(names) > 2 else [])
        told = [*self._per_token(part), *shares, *self._half(total)]
        return [*lines, f"quadratic: {', '.join(names)}: {', '.join(told)}."]

    def _per_token(self, part: Polynomial) -> list[str]:
        if len(self.sequences.lengths) > 1:
            return []
        each = float(part.terms[(2,)] / self.sequences.batch)
        return [f"{each:,.0f}·T FLOPs per token"]

    def _half(self, total: Polynomial) -> list[str]:
        """From which length on it is as much as all the rest: c T² = b T + a."""
        if len(self.sequences.lengths) > 1:
            return []
        a, b, c = (float(total.terms.get((k,), 0)) for k in range(3))
        return [f"half of it at T = {round((b + max(b * b + 4 * a * c, 0) ** 0.5) / (2 * c)):,}"]

    def to_dict(self, forward: Cost, backward: Cost | None) -> dict[str, Any]:
        """What `--json` prints."""
        letters, tokens, total = self.sequences.letters, self.sequences.tokens, self.forward
        return {
            "input_axes": self.input_axes,
            "lengths": dict(zip(letters, self.sequences.lengths, strict=True)),
            "tokens": tokens,
            "flops_per_token": forward.flops / tokens,
            "backward_flops_per_token": backward and backward.flops / tokens,
            "forward_flops": total and _terms(total, letters),
            "layers": [
                {
                    "path": row.layer.path,
                    "op": row.layer.op,
                    "calls": row.calls,
                    "axes": row.axes,
                    "grows": row.flops and row.flops.growth(letters),
                    "flops": row.flops and _terms(row.flops, letters),
                }
                for row in self.rows
            ],
            "output_axes": self.outputs,
            "longest": self.table and self.table.limit,
            "causal": self.found and self.found.causal,
        }

    @property
    def input_axes(self) -> dict[int, tuple[str, ...]]:
        """The names of the axes of each sequence, by its number among the inputs."""
        found = {}
        for number, shape in zip(self.sequences.numbers, self.sequences.shapes, strict=True):
            time = self.sequences.letters[self.sequences.lengths.index(shape[self.sequences.axis])]
            first = ("N", time) if self.sequences.axis else (time, "N")
            found[number] = (*first, *("D" for _ in shape[2:]))
        return found


def _terms(polynomial: Polynomial, letters: Sequence[str]) -> dict[str, float]:
    """Coefficients by what they multiply: {"T²": 304, "T": 58860, "1": 130}."""
    return {Polynomial({e: c}).growth(letters): float(c) for e, c in polynomial.terms.items()}
