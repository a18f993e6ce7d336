"""The layers of a network and what flows between them, as an SVG drawing."""

from html import escape

from etude.inspection.inspecting import Inspection, Layer
from etude.inspection.table import row
from etude.inspection.trace.record import Value, shape_text

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 236, 44, 26, 34, 20
_FILLS = {"parameters": "#cfe3f5", "shared": "#f6d9c6", "plain": "#f1f1f1", "input": "#ffffff"}


def svg(inspection: Inspection) -> str:
    """Boxes from top to bottom in the order of the data, an arrow for each tensor that flows, its shape beside it."""
    nodes, edges = _flow(inspection)
    places = _places(nodes, edges)
    right = max(x for x, _ in places) + BOX_WIDTH + MARGIN
    bottom = max(y for _, y in places) + BOX_HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right}" height="{bottom}" viewBox="0 0 {right} {bottom}" '
        'font-family="DejaVu Sans, sans-serif" font-size="11">',
        f"<title>{escape(inspection.name)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
        f'<rect width="{right}" height="{bottom}" fill="#ffffff"/>',
    ]
    ranks = _ranks(len(nodes), edges)
    for source, target, value in edges:
        skips = ranks[target] - ranks[source] > 1
        parts.append(_arrow(places[source], places[target], shape_text(value.shape), skips))
    parts += [_box(node, place) for node, place in zip(nodes, places, strict=True)]
    return "\n".join([*parts, "</svg>\n"])


def _flow(inspection: Inspection) -> tuple[list[Layer | Value], list[tuple[int, int, Value]]]:
    """Inputs and layers, and the edges between them; a layer without operations passes its input on."""
    nodes: list[Layer | Value] = list(inspection.trace.inputs)
    made: dict[Value, int] = {value: i for i, value in enumerate(nodes) if isinstance(value, Value)}
    edges: list[tuple[int, int, Value]] = []
    for layer in inspection.layers:
        index = len(nodes)
        nodes.append(layer)
        own = {value for op in layer.operations for value in op.outputs}
        used = [value for op in layer.operations for value in op.inputs if value not in own] or layer.inputs
        sources = {made[value]: value for value in used if value in made}
        edges += [(source, index, value) for source, value in sources.items()]
        made |= dict.fromkeys([*own, *layer.outputs], index)
    return nodes, edges


def _ranks(count: int, edges: list[tuple[int, int, Value]]) -> list[int]:
    ranks = [0] * count
    for source, target, _ in sorted(edges, key=lambda edge: edge[1]):
        ranks[target] = max(ranks[target], ranks[source] + 1)
    return ranks


def _places(nodes: list[Layer | Value], edges: list[tuple[int, int, Value]]) -> list[tuple[int, int]]:
    """The upper left corner of every box: its row is the longest path to it, its column that of what feeds it."""
    ranks = _ranks(len(nodes), edges)
    taken: set[tuple[int, int]] = set()
    columns: list[int] = []
    for index, rank in enumerate(ranks):
        wanted = min((columns[s] for s, t, _ in edges if t == index), default=0)
        while (rank, wanted) in taken:
            wanted += 1
        taken.add((rank, wanted))
        columns.append(wanted)
    return [
        (MARGIN + column * (BOX_WIDTH + GAP_X), MARGIN + rank * (BOX_HEIGHT + GAP_Y))
        for column, rank in zip(columns, ranks, strict=True)
    ]


def _box(node: Layer | Value, place: tuple[int, int]) -> str:
    x, y = place
    if isinstance(node, Value):
        kind, first, second = "input", node.name, shape_text(node.shape)
    else:
        cells = row(node)
        kind = "shared" if node.shared else "parameters" if node.parameters else "plain"
        first = cells[1]
        second = f"{node.path or '·'}{f' · {cells[3]} parameters' if node.parameters else ''}"
    middle = x + BOX_WIDTH // 2
    return (
        f'<g><title>{escape(first)}: {escape(second)}</title><rect x="{x}" y="{y}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="6" fill="{_FILLS[kind]}" stroke="#555"/>'
        f'<text x="{middle}" y="{y + 18}" text-anchor="middle" font-weight="bold">{escape(_fit(first))}</text>'
        f'<text x="{middle}" y="{y + 34}" text-anchor="middle" fill="#333">{escape(_fit(second))}</text></g>'
    )


def _arrow(source: tuple[int, int], target: tuple[int, int], label: str, skips: bool) -> str:
    x1, y1 = source[0] + BOX_WIDTH // 2, source[1] + BOX_HEIGHT
    x2, y2 = target[0] + BOX_WIDTH // 2, target[1]
    if skips:  # past the boxes between: down beside the source's column, and over just above the target
        left = x2 < x1
        side = x1 + (BOX_WIDTH // 2 + GAP_X // 2) * (-1 if left else 1)
        start, end = x1 + (-60 if left else 60), x2 + (60 if x1 == x2 else 0)
        path = (
            f"M{start} {y1}C{side} {y1 + 20} {side} {y1 + 20} {side} {y1 + 40}"
            f"L{side} {y2 - GAP_Y}C{side} {y2 - GAP_Y // 2} {end} {y2 - GAP_Y // 2} {end} {y2}"
        )
        label_x, label_y = side - 4, (y1 + y2) // 2
        anchor = "end"
    else:
        bend = (y1 + y2) // 2
        path = f"M{x1} {y1}C{x1} {bend} {x2} {bend} {x2} {y2}"
        label_x, label_y, anchor = (x1 + x2) // 2 + 6, bend + 4, "start"
    return (
        f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"/>'
        f'<text x="{label_x}" y="{label_y}" fill="#555" font-size="9.5" text-anchor="{anchor}" stroke="#fff" '
        f'stroke-width="4" paint-order="stroke">{escape(label)}</text>'
    )


def _fit(text: str, characters: int = 36) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
