"""How often runs of designs as narrow as the re-trained ones die, by all runs of the kind, for the page."""

from __future__ import annotations

from typing import Any

from lightcnn.architecture import parse
from lightcnn.block import Block
from search.cells import absent, counted, interval, percent, rows
from search.deaths import LEAST_WIDTHS, Deaths, pooled
from search.tables import Tables

HEADINGS = (
    "narrowest block",
    "blocks",
    "designs",
    "their runs that died",
    "MNIST runs of any such design",
    "rate",
)


def narrow_designs(tables: Tables) -> dict[str, Any] | None:
    """A table for the template: a line for each least width and depth among the re-trained designs.

    A design is not safe because its two seeds lived: the pooled rate, with its 95 % interval, is what to
    expect. Designs whose narrowest block has LEAST_WIDTHS[-1] channels or more are left out, as of those
    none was seen to die. None: there are none, or the study's recipe is not known.
    """
    if tables.settings is None:
        return None
    own: dict[tuple[int, int], dict[str, Deaths]] = {}
    for row in [*rows(tables.trials), *rows(tables.designs)]:
        if absent(row.get("num_seeds")) or not row["num_seeds"]:
            continue
        blocks = parse(row["architecture"], tables.settings.task).blocks
        if any(block != Block(block.channels, max_pool=block.max_pool) for block in blocks):
            continue  # all runs of the kind are of plain 3x3 blocks
        width = min((block.channels for block in blocks), default=LEAST_WIDTHS[-1])
        if width < LEAST_WIDTHS[-1]:
            num_dead = 0 if absent(row.get("num_dead")) else int(row["num_dead"])
            seen = Deaths(num_dead, int(row["num_seeds"]))
            own.setdefault((width, len(blocks)), {})[row["architecture"]] = seen
    lines = []
    for (width, depth), designs in sorted(own.items()):
        died = Deaths(*map(sum, zip(*designs.values(), strict=True)))
        elsewhere = pooled(tables.settings.recipe.initialisation, width, depth)
        rate = "–" if elsewhere is None else _rate(elsewhere)
        lines.append(
            [
                counted(width, "channel"),
                str(depth),
                str(len(designs)),
                _counts(died),
                _counts(elsewhere),
                rate,
            ]
        )
    return {"headings": HEADINGS, "numeric": [True] * len(HEADINGS), "rows": lines} if lines else None


def _counts(deaths: Deaths | None) -> str:
    return "–" if deaths is None else f"{deaths.num_dead} of {deaths.num_runs}"


def _rate(deaths: Deaths) -> str:
    return f"{percent(deaths.num_dead / deaths.num_runs)} ({interval(*deaths.rate_interval)})"
