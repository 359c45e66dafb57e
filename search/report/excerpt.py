"""Which trials a page shows when a study has more than it has room for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from search.pareto import shortfall
from search.surrogate import log_error
from search.tables import Tables

MOST_TRIALS = 1_000  # with which a page stays under 3 MB and opens in two seconds


def excerpt(tables: Tables) -> Tables:
    """`tables` with MOST_TRIALS of its trials and their curves, if it has more.

    Those on the front, the named designs' and the re-trained ones, and of the others those whose errors are
    least above the fewest of any that is no larger, by their ratio.
    """
    trials = tables.trials
    if len(trials) <= MOST_TRIALS:
        return tables
    above = shortfall(trials["num_parameters"], -log_error(trials["val_accuracy"]))
    kept = trials["architecture"].isin([*tables.front["architecture"], *tables.designs["architecture"]])
    if "test_accuracy_mean" in trials:
        kept |= trials["test_accuracy_mean"].notna()
    order = np.argsort(np.where(kept, -1.0, above), kind="stable")  # what has no accuracy comes last
    shown = trials.iloc[np.sort(order[:MOST_TRIALS])]
    return replace(tables, trials=shown, curves=tables.curves[tables.curves["trial"].isin(shown["trial"])])
