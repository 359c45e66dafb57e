"""Does a teacher make the front's largest network better still?

Expected: a little. With 6,022 parameters a teacher took a quarter of the errors away (`studies.recipes`), and
an ensemble errs less than any of its networks; but here the student is as large as each of these.

    python -m studies.distillation

A network of 18,026 parameters learns for 30 epochs from the mean softmax of four like it, with other seeds,
at temperature 4 (Hinton, Vinyals and Dean, 2015). They were trained on the same 60,000 images, and see what
the student sees, augmented alike. Beside it stands the same network trained on the labels, as the study
`front` has it. The test set is read once, for all students together. `runs.csv` has a line a student,
`summary.csv` a line for those that learn from the labels and one for those that learn from the teacher.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from lightcnn.architecture import parse
from lightcnn.data import DATASETS
from lightcnn.errors import UserError
from lightcnn.fetching import find_files
from lightcnn.training import FAST
from search.command import Parser, about_this_run, add_data_options, at_least, run_command
from search.device_options import add_device_options, engine_of, slots_of
from search.evaluation import Arm, retrain
from search.execution.display import log_line
from search.execution.runs import TrainingData
from search.execution.slots import open_slots
from search.moderation import MNIST, difference, seed_columns
from search.settings import AblationSettings, SettingsFile, engine_name, held_study
from search.statistics import Values
from search.storage import write_table
from search.tables import RUNS
from studies.teacher import AUGMENTATION, NETWORK, Lesson, taught

NAME = "distillation"
DATASET = DATASETS["mnist"]
LESSON = Lesson(AUGMENTATION, temperature=4.0)
TEACHER_SEED = 1_000  # and the next three: none that a student has
NUM_EPOCHS = 30  # as the front's networks of this size


def summarise(labels: Values, teacher: Values) -> pd.DataFrame:
    """A line each: mean test accuracy and the difference that the teacher makes, with 95 % intervals.

    Args:
        labels, teacher: test accuracies of the runs that learn from them.
    """
    gained = difference(labels, teacher, MNIST).columns("p_value")
    return pd.DataFrame(
        [
            {"learns_from": "labels", **seed_columns(labels, MNIST)},
            {"learns_from": "teacher", **seed_columns(teacher, MNIST), **gained},
        ]
    )


def study(options: argparse.Namespace) -> None:
    """Train what is missing, the teacher if need be, then test, summarise and print."""
    front = options.out / "front"
    trained = RUNS.read_if_there(front)
    is_meant = (trained["architecture"] == NETWORK) & (trained["epochs"] == NUM_EPOCHS)
    tested = trained.loc[is_meant & (trained["seed"] < options.seeds), "test_accuracy"].dropna()
    labels = tested.to_numpy(dtype=float)
    if len(labels) < options.seeds:
        raise UserError(
            f"{front} must hold {options.seeds} tested runs of {NETWORK} with {NUM_EPOCHS} epochs "
            f"(reports/README.md has the command), but it has {len(labels)}"
        )
    slots = slots_of(options, NAME, AblationSettings)
    data = TrainingData(DATASET, find_files(DATASET.name, options.data_dir), num_validation=0)
    engine = engine_of(options, slots, NAME, AblationSettings)
    base = replace(FAST, epochs=NUM_EPOCHS)
    recipe = replace(base, augmentation=LESSON.augmentation, temperature=LESSON.temperature)
    sums = {file.name: file.sha256 for file in DATASET.files}
    settings = AblationSettings(DATASET.name, recipe, data.num_images, sums, engine_name(engine))
    file = SettingsFile(settings, about_this_run(options.command, options.data_dir))
    with held_study(options.out, NAME, options.fresh, file, log_line) as folder:
        with open_slots(slots, options.epoch_timeout, engine) as executor:
            kept = RUNS.read_if_there(folder)
            teacher = None
            if kept.loc[kept["seed"] < options.seeds, "test_accuracy"].count() < options.seeds:
                teacher = taught([LESSON], folder, base, data, executor, TEACHER_SEED)[LESSON]
            student = Arm("distilled", parse(NETWORK, DATASET.task))
            runs = retrain(NAME, {student: options.seeds}, recipe, data, executor, folder, teacher)
        summary = summarise(labels, runs["test_accuracy"].to_numpy(dtype=float))
        write_table(summary, folder / "summary.csv")
        log_line(f"The tables: {folder}")
        print(summary.to_string(index=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser(f"python -m studies.{NAME}", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=at_least(1), default=5, metavar="N", help="of the student")
    add_data_options(parser)
    add_device_options(parser)
    options = parser.parse_args(argv)
    return run_command(parser, lambda: study(options))


if __name__ == "__main__":
    sys.exit(main())
