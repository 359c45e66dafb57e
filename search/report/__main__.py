"""python -m search.report reports/<study>: the page of a study, made anew from its files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lightcnn.errors import UserError
from search.command import Parser, run_command
from search.report.ablation_page import write_ablation_report
from search.report.page import open_page, write_report
from search.report.pareto_data import COSTS
from search.report.pictures import write_pictures
from search.results import rebuild_tables
from search.storage import JOURNAL
from search.tables import SUMMARY, TRIALS, read_study


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m search.report", "Rebuild the page of a search or an ablation from its files.")
    parser.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="folder",
        help="the study's folder, e.g. reports/mnist; report.html goes there. Of further ones, searches, the "
        "fronts and the designs of --place are drawn in the same plot",
    )
    parser.add_argument(
        "--x",
        choices=list(COSTS),
        default="num_parameters",
        dest="cost",
        help="what the pictures have on the x axis; the page offers all of them",
    )
    parser.add_argument(
        "--pictures",
        action="store_true",
        help="write the Pareto plot as report.png and report.svg as well, if kaleido and a browser are there",
    )
    parser.add_argument(
        "--embed",
        action="store_true",
        help="put Plotly, 5 MB, into the page, so that it can be sent by itself; else it lies beside the "
        "studies' folders, once for all",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser when it is written")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: _rebuild(options))


def _rebuild(options: argparse.Namespace) -> None:
    folder, *others = options.folders
    if (folder / JOURNAL).exists():  # so that the page of a search that is running is of this moment
        rebuild_tables(folder)
    is_ablation = not (folder / TRIALS.file).exists() and (folder / SUMMARY.file).exists()
    for asked, what in ((options.pictures, "--pictures"), (others, "a plot with other studies")):
        if is_ablation and asked:
            raise UserError(f"{what} must be for the folder of a search, but {folder} is an ablation's")
    if is_ablation:
        page = write_ablation_report(folder, options.embed)
    else:
        page = write_report(folder, options.embed, others)
    print(page)
    if options.open:
        open_page(page)
    if options.pictures:  # last, as what they need may be missing
        beside = [read_study(other) for other in others]
        for picture in write_pictures(folder, read_study(folder), beside, options.cost):
            print(picture)


if __name__ == "__main__":
    sys.exit(main())
