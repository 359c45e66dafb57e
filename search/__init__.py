"""The architecture search around LightCNN and the evidence for what it finds.

What the commands do, in Python, with the same words:

    from search import pareto_figure, run_search

    tables = run_search(trials=10, seeds=0)  # python -m search.run --trials 10 --seeds 0
    pareto_figure(tables)

`run_search`, `run_ablation`: train, and return the study's tables, as pandas has them. `read_study`,
`read_ablation`: the tables of an earlier one. `verdict`, `findings`: what they say, in sentences.
`pareto_figure`: the figure. `export_design`: a trained network as files. `Ablation`, `Arm`, `at_budget`: what
an ablation is made of.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

if TYPE_CHECKING:
    from search.ablation import Ablation, at_budget, read_ablation
    from search.ablation_command import run_ablation
    from search.evaluation import Arm
    from search.export.__main__ import export_design
    from search.report.ablation_page import findings
    from search.report.pareto_plot import pareto_figure
    from search.report.verdict import verdict
    from search.run import run_search
    from search.tables import read_study

_HOMES = {
    "Ablation": "search.ablation",
    "Arm": "search.evaluation",
    "at_budget": "search.ablation",
    "export_design": "search.export.__main__",
    "findings": "search.report.ablation_page",
    "pareto_figure": "search.report.pareto_plot",
    "read_ablation": "search.ablation",
    "read_study": "search.tables",
    "run_ablation": "search.ablation_command",
    "run_search": "search.run",
    "verdict": "search.report.verdict",
}
__all__ = [
    "Ablation",
    "Arm",
    "at_budget",
    "export_design",
    "findings",
    "pareto_figure",
    "read_ablation",
    "read_study",
    "run_ablation",
    "run_search",
    "verdict",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: workers and other commands need none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with catch_warnings():
        # In a notebook, of Optuna's progress bars, which are not shown.
        filterwarnings("ignore", message="IProgress not found")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
