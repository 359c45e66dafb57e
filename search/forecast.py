"""How much re-training will follow a search that is still under way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from lightcnn.architecture import Architecture
from lightcnn.cost import num_parameters
from search.evaluation import Arm
from search.execution.display import Ahead
from search.records import RunRecord


def retraining_ahead(
    seeds: Mapping[Arm, int],
    certain: Collection[Architecture],
    done: Collection[tuple[str, int]],
    records: Iterable[RunRecord],
    growth: float,
    epochs: Callable[[int], float],
) -> Ahead | None:
    """The re-training that would follow now, with as many more candidates in it as trials are still to come.

    About the same share of later candidates as of earlier ones comes near the front: on MNIST 14 designs
    would be trained again after 10 trials, 28 after 40, and 46 or 54 after 100.

    Args:
        seeds: who would be trained again now, by `search.standing.seeds_of_arms`.
        certain: the architectures that will be, whatever the search finds.
        done: architecture and seed of each run that was already trained again.
        records: of the search's runs, with the seconds that they took.
        growth: trials in all over those that are finished.
        epochs: of the search that one run of re-training costs, by the network's parameters.

    Returns:
        None: nothing will be trained again.
    """
    rates = {it.architecture: it.seconds / it.epochs for it in records if it.epochs}
    mean = sum(rates.values()) / max(len(rates), 1)
    once = min(seeds.values(), default=0)
    num_runs = seconds = 0.0
    for arm, count in seeds.items():
        text = str(arm.architecture)
        missing: float = sum((text, seed) not in done for seed in range(count))
        # A candidate with more seeds is a challenger: another may take its place, but they stay as many.
        if arm.architecture not in certain and count == once:
            missing *= growth
        num_runs += missing
        seconds += missing * epochs(num_parameters(arm.architecture)) * rates.get(text, mean)
    if not num_runs:
        return None
    rounded = round(num_runs, -1 if num_runs >= 20 else 0)
    return Ahead(f"about {rounded:,.0f} re-training{'s' if rounded > 1 else ''}", seconds)
