"""What a terminal of 80 columns shows while runs train, and what a log file gets."""

import io
import sys
import time
from dataclasses import replace

import pytest
from rich.console import Console
from terminals import Terminal

from lightcnn.architecture import Task, parse
from lightcnn.data import DATASETS
from lightcnn.training import FAST, Epoch
from search.evaluation import Arm
from search.execution import display as module
from search.execution.display import Ahead, Display, log_line
from search.execution.runs import Run, RunProgress, TrainingData
from search.forecast import retraining_ahead
from search.records import RunRecord

TASK = Task(28, 1, 10)


def begun(text, num_epochs=0, seconds=0.0, of=8):
    """A run that is `num_epochs` of its epochs old."""
    run = Run(parse(text, TASK), replace(FAST, epochs=of), 0, TrainingData(DATASETS["mnist"], None))
    epochs = tuple(Epoch(n + 1, 0.1, 0.9, 0.2) for n in range(num_epochs))
    return RunProgress(run, epochs, seconds=seconds)


def screen(width=80):
    return Console(force_terminal=True, width=width, file=io.StringIO(), record=True, highlight=False)


def picture(display):
    """The lines that the terminal shows now."""
    other = screen(display.console.width)
    other.print(display._picture())
    return [line.rstrip() for line in other.export_text().splitlines()]


def test_80_columns_hold_count_phases_bar_and_time_whatever_the_note():
    ahead = Ahead("about 1,110 re-trainings", 300_000.0)
    with Display(
        "search", 1_107, 800, num_slots=2, seconds=[40.0] * 9, ahead=lambda: ahead, console=screen()
    ) as it:
        it.show("a", begun("14-31-26-29-flatten-128", 3, 20.0))
        it.show("b", begun("8-16-32-flatten", 1, 3.0))
        it.note("best 14-31-26-29-flatten-128 99.01%, " + "and what else there is " * 3)
        total, note, *slots = picture(it)
    assert total.startswith("search 800 of 1,107, then about 1,110 re-trainings ━━━") and len(total) == 80
    assert total.endswith(" 43 h 22 min left")  # (305 runs of 40 s, 20 and 37 s, and 300,000 s) on 2 slots
    assert note.startswith("best 14-31-26-29-flatten-128 99.01%,") and note.endswith("…") and len(note) == 80
    assert [line.split() for line in slots] == [
        ["14-31-26-29-flatten-128,", *slots[0].split()[1:3], "3", "of", "8", "epochs", "90.00%"],
        ["8-16-32-flatten,", "21,578", "parameters", "1", "of", "8", "epochs", "90.00%"],
    ]


@pytest.mark.parametrize(
    ("height", "note", "shown", "more"), [(6, "", 4, 0), (5, "", 2, 2), (6, "best", 2, 2), (1, "", 0, 4)]
)
def test_a_terminal_shows_as_many_slots_as_it_has_room_for(height, note, shown, more):
    console = Console(force_terminal=True, width=80, height=height, file=io.StringIO())
    with Display("search", 9, num_slots=4, console=console) as it:
        for width in range(2, 6):
            it.show(width, begun(f"{width}-gap"))
        it.note(note)
        lines = [line for line in picture(it)[1 + bool(note) :] if line]
    assert [line.split(",")[0].strip() for line in lines[:shown]] == [f"{w}-gap" for w in range(2, 2 + shown)]
    assert lines[shown:] == ([f"  and {more} more"] if more else [])


def test_the_time_left_follows_from_the_runs_that_ended_and_runs_down(monkeypatch):
    clock = 1_000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: clock)
    with Display("search", 5, num_slots=2, console=screen()) as it:
        assert picture(it)[0].endswith("━")  # nothing to go by
        it.show("a", begun("4-gap"))
        it.show("a", begun("4-gap", 2, 5.0))
        assert picture(it)[0].endswith(" 48 s left")  # 15 s of this one and 4 runs of 20 s
        clock += 8
        assert picture(it)[0].endswith(" 40 s left")
        it.show("a", begun("4-gap", 8, 100.0))
        assert picture(it)[0].endswith(" 3 min left")  # 4 runs of 100 s
        assert picture(it)[0].startswith("search 1 of 5 ")
        it.show("b", replace(begun("2-gap"), error="on fire"))  # says nothing of how long a run takes
        assert picture(it)[0].endswith(" 2 min left")


def test_no_time_is_told_without_that_of_what_follows():
    with Display(
        "search", 5, num_slots=1, seconds=[9.0], ahead=lambda: Ahead("re-training", None), console=screen()
    ) as it:
        [total] = picture(it)
    assert total.startswith("search 0 of 5, then re-training ━") and total.endswith("━")


def test_looking_ahead_takes_a_small_part_of_the_time():
    asked = []

    def slow():
        asked.append(1)
        time.sleep(0.02)
        return Ahead("re-training", 9.0)

    with Display("search", 90, num_slots=1, ahead=slow, console=screen()) as it:
        for key in range(20):
            it.show(key, begun("4-gap", 8, 1.0))
    assert len(asked) == 1


def test_a_narrow_terminal_loses_words_before_the_time():
    ahead = Ahead("about 110 re-trainings", 9.0)
    with Display("search", 107, num_slots=1, seconds=[9.0], ahead=lambda: ahead, console=screen(50)) as it:
        [total] = picture(it)
    assert total.startswith("search 0 of 107 ━") and total.endswith("━ 16 min left") and len(total) == 50


@pytest.mark.parametrize(
    "console", [Console(file=io.StringIO(), record=True), screen()], ids=["log", "terminal"]
)
def test_each_run_has_a_line_in_a_log_alone(console):
    with Display("search", 2, num_slots=1, console=console) as display:
        display.show("a", begun("4-gap", 8, 7.0))
        display.show("b", replace(begun("8-16-32-gap"), error="OSError: on fire"))
    said = console.export_text()
    ended = "search 1/2: 4-gap, 90 parameters, 90.00%, 7 s\n"
    assert (ended in said) == (not console.is_terminal)
    assert "search 2/2: 8-16-32-gap, 6,218 parameters, failed: OSError: on fire" in said


def test_a_dumb_terminal_gets_the_log():
    console = Console(force_terminal=True, width=80, file=io.StringIO(), _environ={"TERM": "dumb"})
    with Display("search", 1, num_slots=1, console=console) as display:
        display.show("a", begun("4-gap", 8, 7.0))
    assert "search 1/1: 4-gap" in console.file.getvalue()


def test_sentences_break_between_words_in_a_terminal_and_paths_stay_whole(capfd):
    path = "/a/very/long/" + 9 * "path-that/" + "report.html"
    text = f"the page {path} of [8-16-32-flatten]" + 20 * " is-not broken"
    log_line(text)
    assert capfd.readouterr().err == text + "\n"  # whole where programs read it
    script = "import sys; from search.execution.display import *; "
    script += "log_line(sys.argv[1]); result_line(sys.argv[1])"
    code, lines = Terminal([sys.executable, "-c", script, text]).end()
    assert code == 0
    assert " ".join(lines).split() == text.split() * 2
    assert {line for line in lines if len(line) > 80} == {path}


def forecast(seeds, finished=10, trials=100, done=(), **kept):
    record = RunRecord.of(begun("8-16-32-gap", 8, 80.0))
    return retraining_ahead(
        {Arm(text, parse(text, TASK)): count for text, count in seeds.items()},
        certain={parse("8-16-32-gap", TASK), parse("4-pool2", TASK)},
        done=set(done),
        records=[record, replace(record, architecture="4-gap", seconds=16.0)],
        growth=trials / finished,
        epochs=lambda size: 2.5 * (size > 0),
    )


def test_what_is_re_trained_grows_with_the_trials_that_are_left():
    seeds = {"8-16-32-gap": 5, "12-14-10-10-flatten": 5, "4-pool2": 1, "4-gap": 1, "3-gap": 1}
    assert forecast(seeds, finished=100) == Ahead(
        "about 13 re-trainings",
        pytest.approx(2.5 * (5 * 10 + 5 * 6 + 6 + 2 + 6)),  # seconds an epoch: 10 and 2, else their mean
    )
    # The reference, its challenger and what is shown beside are as many after 100 trials as after 10.
    assert forecast(seeds) == Ahead(
        "about 30 re-trainings", pytest.approx(2.5 * (5 * 10 + 5 * 6 + 6 + 10 * 2 + 10 * 6))
    )
    done = [("8-16-32-gap", seed) for seed in range(5)]
    assert forecast(seeds, finished=100, done=done).words == "about 8 re-trainings"
    assert forecast({"8-16-32-gap": 1}, finished=100).words == "about 1 re-training"
    assert forecast({"8-16-32-gap": 5}, finished=100, done=done) is None
    assert forecast({}) is None
