"""Who is trained again, and with how many seeds: decided before the test set is opened; pure.

What goes in is the search's own: each candidate's probability of being on the front by the joint estimate of
the search's runs (`search.joint`). Test accuracies are no argument, so no choice can follow from them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

LEAST_CHANCE = 0.10  # of being on the front, from which a candidate is trained again
ROUGH = 0.09  # nugget from which on the features leave so much unseen that one fresh seed is not enough


def num_fresh_seeds(
    on_front: Mapping[str, float],
    decisive: Collection[str],
    nugget: float,
    num_seeds: int,
    beside: Collection[str] = (),
    least_chance: float = LEAST_CHANCE,
) -> dict[str, int]:
    """Fresh seeds of each design that is trained again; those with none are left out.

    A candidate that may be on the front gets one, which shows whether it holds what its first run promised;
    two where the nugget is large, as its neighbours then say little. Those that decide get `num_seeds`.

    Args:
        on_front: each candidate's probability of being on the front, given the search alone.
        decisive: the reference, what was placed, and the challenger of each, the best candidate no larger;
            candidates or not.
        nugget: standard deviation, on the log error, of designs about what their features say.
        num_seeds: of each that decides; no other design gets more. 0: nothing is trained again.
        beside: designs that are shown beside the front and decide nothing; as many seeds as a candidate.
        least_chance: of being on the front, from which a candidate is trained again.

    Returns:
        Those that decide and those beside, in their order, then the candidates from the most probable on.
    """
    once = min(2 if nugget > ROUGH else 1, num_seeds)
    seeds = dict.fromkeys(beside, once) | dict.fromkeys(decisive, num_seeds)
    seeds = {name: seeds[name] for name in [*decisive, *beside]}
    for name in sorted(on_front, key=lambda name: -on_front[name]):
        if on_front[name] >= least_chance:
            seeds.setdefault(name, once)
    return {name: count for name, count in seeds.items() if count > 0}
