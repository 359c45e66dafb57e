"""What others have published, beside the front, for the page."""

import numpy as np
import pandas as pd

from search.report.pareto_data import pareto_data
from search.tables import Tables


def beside_the_front(tables: Tables) -> pd.DataFrame:
    """`tables.published` by size, each with this study's front at its number of parameters."""
    front = pareto_data(tables).front
    found = tables.published.sort_values("num_parameters", kind="stable")
    sizes = found["num_parameters"]
    best = [max((it.accuracy for it in front if it.cost <= size), default=np.nan) for size in sizes]
    return found.assign(best_here=best)
