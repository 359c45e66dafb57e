"""Where the labels of a plot go: on no other label, on no mark, over few points."""

import html
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

Pixels = Sequence[tuple[float, float]]


def label_size(text: str) -> tuple[float, float]:
    """Width and height in pixels of a label of 12 px letters; `<br>` breaks its lines."""
    lines = [html.unescape(line) for line in text.split("<br>")]
    return 6.6 * max(map(len, lines)) + 4, 15.0 * len(lines)


def place_labels(texts: Sequence[str], marks: Pixels, others: Pixels, points: Pixels, area: Any) -> Pixels:
    """Where each label goes so that it lies inside `area`, on no other label and no mark, over few points.

    One label after the other takes its cheapest place, beside, above or below its mark, near or far. Moving
    each again, and counting crossed lines, took seconds and did not save a crowded phone: that has a legend.

    Args:
        texts: the labels.
        marks: what each label names, pixels (right, down), (len(texts),).
        others: further marks to keep clear, pixels.
        points: small things that a label rather does not cover, pixels.
        area: (width, height) in pixels.

    Returns:
        The labels' centres relative to their marks, pixels.
    """
    dots = np.array([*points] or np.empty((0, 2)))
    taken = [(x - 9, y - 9, x + 9, y + 9) for x, y in [*marks, *others]]  # left, top, right, bottom
    ways = [(1.0, 0), (-1.0, 0), *((shift, way) for shift in (0, 1, -1, 0.5, -0.5) for way in (-1, 1))]
    offsets: list[tuple[float, float]] = []
    for text, (x, y) in zip(texts, marks, strict=True):
        width, height = label_size(text)
        places = []
        for order, (distance, (shift, way)) in enumerate(product((11, 20, 36, 56, 80, 110), ways)):
            dx, dy = shift * (width / 2 + (distance if way == 0 else 0)), way * (distance + height / 2)
            box = (x + dx - width / 2, y + dy - height / 2, x + dx + width / 2, y + dy + height / 2)
            outside = max(0, -box[0], -box[1], box[2] - area[0], box[3] - area[1])
            hits = sum(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken)
            covered = ((dots > np.array(box[:2]) - 4) & (dots < np.array(box[2:]) + 4)).all(axis=1).sum()
            places.append((1000 * hits + 100 * outside + 6 * int(covered) + distance, order, (dx, dy), box))
        *_, offset, box = min(places)
        offsets.append(offset)
        taken.append(box)
    return offsets
