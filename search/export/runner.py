"""What computes an exported network: compared with the network, and timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lightcnn.errors import Failure
from lightcnn.measurement import EVALUATION_BATCH

# Of the largest score: what float32 sums in another order may differ by, with a wide margin.
TOLERANCE = 1e-4
ROUNDS = 200  # of timing

Predictor = Callable[[Tensor], Tensor]  # images, (B, C, H, W), float32 -> scores, (B, num_classes)


@dataclass(frozen=True)
class Runner:
    """A file as something runs it.

    ready: of one image, (C, H, W), what computes its scores when it is called, and nothing else.
    """

    predict: Predictor
    ready: Callable[[Tensor], Callable[[], object]]


def scores(predict: Predictor, images: Tensor) -> Tensor:
    """What `predict` makes of `images`, some at a time."""
    with torch.inference_mode():
        return torch.cat([predict(some) for some in torch.split(images, EVALUATION_BATCH)])


def largest_difference(what: str, predict: Predictor, network: Predictor, images: Tensor) -> float:
    """The most that a score of `predict` differs from the network's on `images`.

    Raises:
        Failure: more than TOLERANCE of the largest score.
    """
    expected, found = scores(network, images), scores(predict, images)
    difference = float((expected - found).abs().max())
    allowed = TOLERANCE * float(expected.abs().max())
    if not difference <= allowed:  # NaN differs, too
        raise Failure(
            f"{what} must compute what the network does, to within {allowed:.2g}, "
            f"but a score differs by {difference:.2g}"
        )
    return difference


def latencies(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of each call, the median of ROUNDS, in each of which every one has its turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            call()  # what the one before it left in the caches is not its own
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
