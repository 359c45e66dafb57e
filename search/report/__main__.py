"""python -m search.report reports/<study>: the page of a study, made anew from its files."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lightcnn.errors import UserError
from search.command import Parser, run_command
from search.report.ablation_page import write_ablation_report
from search.report.page import open_page, write_report
from search.report.pictures import write_pictures
from search.results import rebuild_tables
from search.storage import JOURNAL
from search.tables import SUMMARY, TRIALS, read_study


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m search.report", "Rebuild the page of a search or an ablation from its files.")
    parser.add_argument(
        "folder", type=Path, help="the study's folder, e.g. reports/mnist; report.html goes there"
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
    return run_command(
        parser, lambda: _rebuild(options.folder, options.embed, options.pictures, options.open)
    )


def _rebuild(folder: Path, embed: bool, with_pictures: bool, then_open: bool) -> None:
    if (folder / JOURNAL).exists():  # so that the page of a search that is running is of this moment
        rebuild_tables(folder)
    is_ablation = not (folder / TRIALS.file).exists() and (folder / SUMMARY.file).exists()
    if is_ablation and with_pictures:
        raise UserError(f"--pictures must be for the folder of a search, but {folder} is an ablation's")
    page = write_ablation_report(folder, embed) if is_ablation else write_report(folder, embed)
    print(page)
    if then_open:
        open_page(page)
    if with_pictures:  # last, as what they need may be missing
        for picture in write_pictures(folder, read_study(folder)):
            print(picture)


if __name__ == "__main__":
    sys.exit(main())
