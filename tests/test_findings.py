"""What a search prints when it is done: a table of 80 columns, then sentences."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from fakes import study_of
from terminals import Terminal

from search.cells import rows
from search.command import Parser, run_command
from search.report import terminal
from search.report.terminal import print_findings
from search.tables import read_study

DEFAULTS = Path(__file__).parents[1] / "reports" / "mnist-gap-flatten"
INTERVAL = r"[0-9]{2}\.[0-9]{2} % \([0-9.]+ to [0-9.]+\) +[0-9]+"
# As a command does it, so that streams are as it leaves them.
SCRIPT = (
    "import sys; from pathlib import Path; from search.command import Parser, run_command; "
    "from search.report.terminal import print_findings; "
    "sys.exit(run_command(Parser('it', ''), lambda: print_findings(Path(sys.argv[1]), ['8-16-32-flatten'])))"
)


def findings(tables, monkeypatch, capsys):
    """The lines of the table, by the words they begin with, and all else that is printed."""
    monkeypatch.setattr(terminal, "read_study", lambda folder: tables)
    print_findings(Path("nowhere"), [])
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_the_re_trained_front_with_intervals_and_seeds_in_80_columns():
    code, lines = Terminal([sys.executable, "-c", SCRIPT, str(DEFAULTS)]).end()
    assert code == 0
    assert max(map(len, lines)) <= 80  # in a terminal, the sentences as well
    assert re.match(r"100 trials: [0-9]+ trained to its end, [0-9]+ stopped early", lines[0])
    tables = read_study(DEFAULTS)
    on_front = tables.trials[tables.trials["on_front_after_retraining"].isin([True])]
    start = next(i for i, line in enumerate(lines) if line.startswith("───")) + 1
    front = lines[start : lines.index(" " * 80)]
    shown = [line for line in front if not line.startswith(" ")]  # else of runs that died
    assert [line.split()[0] for line in shown] == list(on_front.sort_values("num_parameters")["architecture"])
    assert all(re.search(INTERVAL, line) for line in shown)
    design = lines.index("8-16-32-flatten".ljust(80))
    assert re.fullmatch(f"LightCNN, GAP removed +21,578 +{INTERVAL} +–", lines[design - 1])
    [light] = [line for line in lines if line.startswith("LightCNN  ")]
    assert re.fullmatch(f"LightCNN +6,218 +{INTERVAL}  98.61 %", light)
    assert "validation" not in "\n".join(lines[: design + 3])
    [begins] = [line for line in lines if line.startswith("LightCNN, GAP removed (21,578 parameters)")]
    assert begins  # as it was placed


def test_the_table_is_80_wide_and_sentences_whole_where_there_is_no_terminal():
    done = subprocess.run([sys.executable, "-c", SCRIPT, DEFAULTS], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == ""
    [verdict] = [line for line in lines if line.startswith("LightCNN (6,218 parameters) reaches ")]
    assert len(verdict) > 80 and verdict.endswith(".")
    assert max(map(len, lines[: lines.index(verdict)])) == 80


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r", "utf-8"])
def test_no_encoding_breaks_what_was_found(encoding, monkeypatch):
    file = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stream := io.TextIOWrapper(file, encoding))
        code = run_command(Parser("it", ""), lambda: print_findings(DEFAULTS, []))
        stream.flush()
    assert code == 0
    text = file.getvalue().decode(encoding)
    absent = "–" if encoding in ("cp1252", "utf-8") else "-"
    removed = next(line for line in text.splitlines() if line.startswith("LightCNN, GAP removed "))
    assert removed.rstrip().endswith(f" {absent}") or removed.rstrip().endswith(f"|      {absent}")
    assert "?" not in text


def test_single_runs_are_called_so(monkeypatch, capsys):
    trials = [("COMPLETE", "4-gap", 90, 0.9, 2, 1), ("COMPLETE", "8-gap", 170, 0.95, 2, 1)]
    tables = study_of(trials, front=["4-gap", "8-gap"])
    tables = replace(tables, designs=tables.designs.assign(val_accuracy=float("nan")))
    lines = findings(tables, monkeypatch, capsys)
    assert lines[0] == "2 trials: 2 trained to its end"
    assert lines[1].split("  ")[0] == "the front of single runs"
    assert "validation accuracy, one run" in lines[1] and "test" not in lines[1] and "seeds" not in lines[1]
    assert [line.split() for line in lines[3:5]] == [
        ["4-gap", "90", "90.00", "%"],
        ["8-gap", "170", "95.00", "%"],
    ]
    assert [line.split() for line in lines[6:8]] == [
        ["LightCNN", "6,218", "–", "98.61", "%"],
        ["8-16-32-gap"],
    ]


def test_runs_that_died_are_told_and_not_counted_as_seeds(monkeypatch, capsys):
    tables = read_study(DEFAULTS)
    of = {row["architecture"]: row for row in rows(tables.trials)}
    died = next(text for text, row in of.items() if row["num_dead"] > 0 and row["on_front_after_retraining"])
    lines = findings(tables, monkeypatch, capsys)
    at = next(i for i, line in enumerate(lines) if line.startswith(died))
    lived = int(of[died]["num_seeds"] - of[died]["num_dead"])
    assert lines[at].endswith(f") {lived:6}")
    assert lines[at + 1].strip() == f"{of[died]['num_dead']:.0f} of {of[died]['num_seeds']:.0f} runs died"


def test_an_architecture_that_80_columns_cannot_hold_ends_its_lines_at_dashes(monkeypatch, capsys):
    tables = read_study(DEFAULTS)
    long = "-".join(["32"] * 17) + "-flatten"
    light = tables.designs[:1]
    mine = light.assign(name=long, architecture=long, paper_accuracy=float("nan"))
    lines = findings(replace(tables, designs=pd.concat([light, mine])), monkeypatch, capsys)
    at = next(i for i, line in enumerate(lines) if line.startswith("32-32-"))
    assert [line.split()[0] for line in lines[at : at + 3]] == [
        *("32-32-32-32-32-32-32-32-", "32-32-32-32-32-32-32-32-", "32-flatten")
    ]
    assert max(len(line) for line in lines[:at]) <= 80
