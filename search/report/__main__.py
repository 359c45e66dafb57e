"""python -m search.report reports/<study>: the page of a study, made anew from its files."""

import sys
from collections.abc import Sequence
from pathlib import Path

from search.command import Parser, run_command
from search.report.page import open_page, write_report
from search.report.pictures import write_pictures
from search.results import rebuild_tables
from search.storage import JOURNAL
from search.tables import read_study


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m search.report", "Rebuild a study's page from its files.")
    parser.add_argument(
        "folder", type=Path, help="the study's folder, e.g. reports/mnist; report.html goes there"
    )
    parser.add_argument(
        "--pictures",
        action="store_true",
        help="write the Pareto plot as report.png and report.svg as well, if kaleido and a browser are there",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser when it is written")
    options = parser.parse_args(argv)
    return run_command(parser, lambda: _rebuild(options.folder, options.pictures, options.open))


def _rebuild(folder: Path, with_pictures: bool, then_open: bool) -> None:
    if (folder / JOURNAL).exists():  # so that the page of a search that is running is of this moment
        rebuild_tables(folder)
    page = write_report(folder)
    print(page)
    if then_open:
        open_page(page)
    if with_pictures:  # last, as what they need may be missing
        for picture in write_pictures(folder, read_study(folder)):
            print(picture)


if __name__ == "__main__":
    sys.exit(main())
