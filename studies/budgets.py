"""How few epochs and images rank candidates well enough for a search?

Expected: a half or a quarter of the full budget ranks networks almost as well as a second run of the full one
does, since a single run's own luck limits what any ranking can be.

    python -m studies.budgets

Reads LightCNN-Bench (`python -m studies.tabular_bench`, which must have run). Every budget is held against
the mean of the full budget's seeds, the one that it shares left out: by Kendall's rank correlation, and by
the front that it would choose, whose members count by those means (hypervolume as in
`studies.early_stopping`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from scipy.stats import kendalltau

from lightcnn.errors import UserError
from search.command import Parser, run_command
from search.pareto import front, hypervolume
from search.storage import study_folder, write_table
from studies.tabular_bench import FULL, OTHERS, REFERENCE_POINT, TABLE, of_budget, read


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """A line a budget, dearest first: its cost, and how well one run of it ranks and chooses.

    A budget is left out as long as it lacks a network's run, or one diverged.
    """
    final = table[table["epoch"] == table["epochs"]]
    keys = ["architecture", "epochs", "train_images", "seed"]
    runs = final.set_index(keys)[["val_accuracy", "seconds"]].sort_index()
    sizes = final.groupby("architecture")["num_parameters"].first()
    full = of_budget(final, FULL).pivot_table(index="architecture", columns="seed", values="val_accuracy")
    full = full.dropna(axis="columns")  # a seed counts when every network has it
    if full.shape[1] < 2 or full.empty:
        raise UserError(
            "budgets are held against several seeds of the full one, but the table has none yet; "
            "python -m studies.tabular_bench trains them"
        )
    truth = full.drop(columns=0).mean(axis=1)  # every budget's run has seed 0
    size = sizes[truth.index].to_numpy(dtype=float)
    most = hypervolume(size, truth, *REFERENCE_POINT)
    rows = []
    for budget in (FULL, *OTHERS):
        own = runs.reindex([(text, *budget, 0) for text in truth.index])
        accuracies = own["val_accuracy"].to_numpy(dtype=float)
        if own.isna().any(axis=None):
            continue
        chosen = front(size, accuracies)
        rows.append(
            {
                "epochs": budget[0],
                "train_images": budget[1],
                "seconds": own["seconds"].mean(),
                "kendall_tau": kendalltau(accuracies, truth).statistic,
                "hypervolume": hypervolume(size[chosen], truth.iloc[chosen], *REFERENCE_POINT) / most,
            }
        )
    return pd.DataFrame(rows).sort_values("seconds", ascending=False).round(4)


def study(out: Path) -> None:
    """Compare, print, and keep the comparison in `out`/budgets/budgets.csv."""
    path = out / "tabular_bench" / TABLE
    budgets = compare(read(path))
    write_table(budgets, study_folder(out, "budgets") / "budgets.csv")
    print(budgets.to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m studies.budgets", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="where results go")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: study(options.out))


if __name__ == "__main__":
    sys.exit(main())
