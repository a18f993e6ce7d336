"""Tables of numbers: what was measured, with intervals and floors, and what training recorded."""

from collections.abc import Sequence

from etude.measurement.kept import Kept
from etude.notebook import rounded
from etude.reports.markup import Html, code, element, folded, joined, table
from etude.reports.strips import Span, strips
from etude.reports.wording import counted, cut

ARROWS = {"higher": "↑", "lower": "↓", None: ""}
ABOUT_ARROWS = "↑ higher is better, ↓ lower is better."
MOST_RECORDED = 60
SPLITS = ("train", "validation", "test")


def measured_table(found: Sequence[Kept]) -> Html:
    """Metrics with their intervals and floors."""
    spans = [
        Span(
            value=each.result.value,
            low=(each.result.interval or (None, None))[0],
            high=(each.result.interval or (None, None))[1],
            floor=each.result.floor,
        )
        for each in found
    ]
    rows = []
    for each, strip in zip(found, strips(spans), strict=True):
        value, floor, interval, number, remark = each.result.texts()
        about = "; ".join(part for part in (each.about, cut(remark, 160), features_of(each)) if part)
        title = joined([code(each.metric), f" {ARROWS[each.better]}", element("small", about)])
        strip = strip if floor else Html("")
        rows.append([title, value or "not finite", interval or "–", floor or "–", strip, number])
    headings = ["metric", "value", "95 % interval", "floor", "", "n"]
    return table(headings, rows, about="↑ higher is better, ↓ lower is better; n is the number of examples.")


def features_of(kept: Kept) -> str:
    """Which network's features compared the images, if any did."""
    features = kept.settings.get("features")
    return f"features {cut(features, 60)}" if isinstance(features, str) else ""


def recorded_table(last: dict[str, float]) -> Html:
    """What training recorded last, a row per number with its value on each split."""
    rows: dict[str, dict[str, str]] = {}
    for name, value in last.items():
        split, _, quantity = name.partition("/")
        if split in SPLITS and quantity:
            rows.setdefault(quantity, {})[split] = rounded(value, 0)
    for name, value in last.items():
        split, _, quantity = name.partition("/")
        if split == "running" and "train" not in rows.get(quantity, {}):
            rows.setdefault(quantity, {})["train"] = rounded(value, 0)
    shown = [split for split in SPLITS if any(split in values for values in rows.values())]
    cells = [[code(cut(name, 80)), *(values.get(each, "") for each in shown)] for name, values in rows.items()]
    headings = ["number", *("training" if each == "train" else each for each in shown)]
    whole, parts = (
        [cells[at] for at, name in enumerate(rows) if ("/" in name) == of_class] for of_class in (False, True)
    )
    made = table(headings, whole[:MOST_RECORDED])
    if not parts:
        return made
    summary = f"{counted(len(parts), 'number')} of classes or parts"
    return joined([made, folded(summary, table(headings, parts[:MOST_RECORDED]))])
