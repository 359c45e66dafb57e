"""Which candidates of a long search are judged together; pure.

The joint estimate (`search.joint`) takes time with the cube of its designs: a minute for 3,000, half an hour
for 10,000. So of more than MOST it is made of half as many that stand for all of them, and of those that a
cheaper model, fitted to these, expects nearest to the front. It is asked by their features alone: picked by
their own single runs they would be the luckiest, and the estimate could not know of the luck. In three
simulated searches of 1,600 candidates, of which 400 were judged, those held all of the 85 to 94 with a chance
of a tenth or more by the estimate of all, and their expected errors were no lower.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from lightcnn.architecture import parse
from lightcnn.cost import num_parameters
from search.pareto import shortfall
from search.posterior import Runs
from search.space import Space
from search.surrogate import GaussianProcess, features, log_error

MOST = 1_000


def contenders(runs: Runs, space: Space, always: Collection[str] = ()) -> list[str]:
    """The candidates to be judged together, at most MOST besides `always`; all of them if they are no more.

    Args:
        runs: validation accuracies of each candidate, NaN where a run died; in the order of the trials.
        always: candidates that are judged whatever is expected of them.
    """
    if len(runs) <= MOST:
        return [*runs]
    texts = np.array([*runs])
    networks = [parse(text, space.task) for text in texts]
    seen = features(networks, space)
    live = np.flatnonzero([np.isfinite(own).any() for own in runs.values()])
    standing_for_all = live[np.linspace(0, len(live) - 1, min(MOST // 2, len(live))).astype(int)]
    values = np.array([log_error(np.nanmean(runs[text])) for text in texts[standing_for_all]])
    expected, _ = GaussianProcess(seen[standing_for_all], values).predict(seen)
    above = shortfall([num_parameters(network) for network in networks], -expected)
    above[standing_for_all] = -1
    above[np.isin(texts, [*always])] = -2
    num_always = int((above == -2).sum())
    chosen = np.sort(np.argsort(above, kind="stable")[: MOST + num_always])
    return [str(text) for text in texts[chosen]]
