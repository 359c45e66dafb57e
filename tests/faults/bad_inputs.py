"""What a user can do wrong, and the one line that each command answers before it exits with 2."""

from __future__ import annotations

import csv
import importlib
import io
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from lightcnn.fetching import find_files
from search import ablation_command as study
from search import run

# The study that the damage is done to: `--out {out} --name it`.
TINY = "--trials 1 --seeds 0 --epochs 1 --train-images 300 --no-baselines --max-parameters 8000 --workers 1"


@dataclass(frozen=True)
class BadInput:
    """`python -m <command>`, after `damage` was done to the folder it runs in, and its line after `error: `.

    `{out}` stands for the folder with the study `it`, `{data}` for a folder with MNIST's files.
    """

    command: str
    says: str
    damage: Callable[[Path], None] | None = None
    done: str = ""  # the damage, in words


def cell(name: str, column: str, value: str, row: int = 1):
    """Damage: one cell of a CSV file, in its 1-based `row` after the header."""

    def damage(folder: Path) -> None:
        path = folder / "out" / "it" / name
        lines = list(csv.reader(path.read_text().splitlines()))
        lines[row][lines[0].index(column)] = value
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        path.write_text(text.getvalue())

    return damage


def text(name: str, content: str | bytes):
    """Damage: a file of the study with other content."""

    def damage(folder: Path) -> None:
        path = folder / "out" / "it" / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return damage


def changed(name: str, old: str, new: str):
    """Damage: `old` in a file of the study made `new`."""

    def damage(folder: Path) -> None:
        path = folder / "out" / "it" / name
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1))

    return damage


def gone(name: str):
    """Damage: a file of the study is missing."""
    return lambda folder: (folder / "out" / "it" / name).unlink()


def alone(damage: Callable[[Path], None]):
    """Damage to a study that has no journal, from which its tables would be made anew."""

    def both(folder: Path) -> None:
        damage(folder)
        (folder / "out" / "it" / "study.journal").unlink()

    return both


def data_file(name: str, change: Callable[[bytes], bytes] | None):
    """Damage: one of MNIST's files changed, or missing."""

    def damage(folder: Path) -> None:
        path = folder / "data" / name
        content = path.read_bytes()
        path.unlink()  # a link to the real one
        if change is not None:
            path.write_bytes(change(content))

    return damage


def _options() -> list[BadInput]:
    start = "search.run --out {out} --name new "
    number = "must be a whole number of at least"
    devices = "--devices must be auto, cpu or a list of this machine's GPUs (it has none), but got"
    cases = [
        ("", "the following arguments are required: --trials"),
        ("--trials 0", f"argument --trials: {number} 1, but got '0'"),
        ("--trials -3", f"argument --trials: {number} 1, but got '-3'"),
        ("--trials ten", f"argument --trials: {number} 1, but got 'ten'"),
        ("--trials 1.5", f"argument --trials: {number} 1, but got '1.5'"),
        ("--trials 1e2", f"argument --trials: {number} 1, but got '1e2'"),
        ("--trials", "argument --trials: expected one argument"),
        ("--trials 1 --epochs 0", f"argument --epochs: {number} 1, but got '0'"),
        ("--trials 1 --workers 0", f"argument --workers: {number} 1, but got '0'"),
        ("--trials 1 --workers-per-device -1", f"argument --workers-per-device: {number} 1, but got '-1'"),
        ("--trials 1 --epoch-timeout 0", f"argument --epoch-timeout: {number} 1, but got '0'"),
        ("--trials 1 --seed -1", f"argument --seed: {number} 0, but got '-1'"),
        (
            "--trials 1 --seed 1795409999123456789",
            "argument --seed: must be a whole number of at most 2147483647, but got '1795409999123456789'",
        ),
        ("--trials 1 --seeds -1", f"argument --seeds: {number} 0, but got '-1'"),
        ("--trials 1 --max-parameters 0", f"argument --max-parameters: {number} 1, but got '0'"),
        ("--trials 1 --train-images 0", f"argument --train-images: {number} 1, but got '0'"),
        (
            "--trials 1 --sampler cma",
            "argument --sampler: invalid choice: 'cma' (choose from "
            "'tpe', 'nsga2', 'random', 'gp', 'evolution', 'surrogate')",
        ),
        ("--trials 1 --augmentation 6", "argument --augmentation: must be a number from 0 to 5, but got '6'"),
        ("--trials 1 --least-chance 2", "argument --least-chance: must be a number from 0 to 1, but got '2'"),
        ("--trials 1 --final-epochs 30:", f"argument --final-epochs: {number} 1, but got ''"),
        ("--trials 1 --trails 2", "unrecognized arguments: --trails 2"),
        ("--trials 1 --tri 2", "unrecognized arguments: --tri 2"),
        ("--trials 1 --devices tpu", f"{devices} 'tpu'"),
        ("--trials 1 --devices cuda:0", f"{devices} 'cuda:0'"),
        ("--trials 1 --devices cpu,cpu", f"{devices} 'cpu'"),
        ("--trials 1 --devices cuda:-1", f"{devices} 'cuda:-1'"),
        (
            "--trials 1 --max-parameters 49",
            "--max-parameters must admit the smallest candidate, 2-gap with 50, but got 49",
        ),
        (
            "--trials 1 --max-activation-bytes 8000",
            "--max-activation-bytes must admit the smallest candidate, 2-gap with 9408, but got 8000",
        ),
        ("--trials 1 --max-macs 0", f"argument --max-macs: {number} 1, but got '0'"),
        (
            "--trials 1 --weights int8",
            "--weights int8 says what a byte is and needs --max-weight-bytes or --max-activation-bytes",
        ),
        (
            "--trials 1 --train-images 50001",
            "--train-images must be from 10 to 50000, the images that validation leaves, but got 50001",
        ),
        (
            "--trials 1 --train-images 9",
            "--train-images must be from 10 to 50000, the images that validation leaves, but got 9",
        ),
        ("--trials 1 --seeds 0 --place 8-gap", "--place 8-gap needs --seeds of at least 1, but got 0"),
    ]
    return [BadInput(start + options, line) for options, line in cases]


def _names() -> list[BadInput]:
    rule = "--name must be the name of one folder in {out}, but got"
    names = {"../up": "'../up'", "..": "'..'", ".": "'.'", "a/b": "'a/b'", "/etc": "'/etc'", ".x": "'.x'"}
    return [
        BadInput(f"search.run --trials 1 --out {{out}} --name {name}", f"{rule} {shown}")
        for name, shown in names.items()
    ] + [
        BadInput(
            "search.run --trials 1 --out {out}/it/trials.csv --name new",
            "--out must be a folder that can be written, but got {out}/it/trials.csv/new: Not a directory",
        ),
        BadInput(
            "search.run --trials 1 --out /proc/reports --name new",
            "--out must be a folder that can be written, but got /proc/reports/new: "
            "No such file or directory",
        ),
    ]


def _architectures() -> list[BadInput]:
    form = "an architecture reads like 8-16-32-gap, 8-16-32-flatten-128 or 4-pool2, but got"
    head = "it needs exactly one of gap, flatten and pool<side>"
    small = "image_size=28 is too small for these blocks"
    cases = [
        ("8-16", f"{form} '8-16': {head}"),
        ("8-gap-gap", f"{form} '8-gap-gap': {head}"),
        ("8-max", f"{form} '8-max': {head}"),
        ("8-gap" + "-8" * 100, f"{form} '8-gap-8-8-8-8-8-8-8-...': it is longer than 200 characters"),
        ("8-x-gap", f"{form} '8-x-gap': 'x' is not a block"),
        ("8--gap", f"{form} '8--gap': '' is not a block"),
        ("8-gap-", f"{form} '8-gap-': '' is not the width of a hidden layer"),
        ("8-gap-1.5", f"{form} '8-gap-1.5': '1.5' is not the width of a hidden layer"),
        ("٣-gap", f"{form} '٣-gap': '٣' is not a block"),
        ("9999999-gap", f"{form} '9999999-gap': '9999999' is not a block"),
        ("8-0-32-gap", "a block needs at least 1 channel, but got channels=0"),
        ("8k4-gap", "a kernel size must be odd, but got kernel_size=4"),
        ("8-gap-0", "a hidden layer needs at least 1 unit, but got hidden=(0,)"),
        ("8-pool29", "the last maps can be pooled to a side of 1 to 28, their own, but got grid=29"),
        ("8-pool0", "the last maps can be pooled to a side of 1 to 28, their own, but got grid=0"),
        (
            "8-8-8-8-8-8-gap",
            "each block must leave maps of at least 1x1 pixels, but block 5 of 6 gets 1x1 and leaves none: "
            + small,
        ),
        (
            "8k31v-gap",
            "each block must leave maps of at least 1x1 pixels, but block 1 of 1 gets 28x28 and leaves none: "
            + small,
        ),
    ]
    return [
        BadInput(f"search.run --trials 1 --out {{out}} --name new --place {design}", line)
        for design, line in cases
    ]


def _tables() -> list[BadInput]:
    it = "{out}/it"
    cases = [
        ("trials.csv", cell("trials.csv", "val_accuracy", "good"), ":2: val_accuracy must be a fraction "
         "from 0 to 1, but is 'good'", "a word as accuracy"),
        ("trials.csv", cell("trials.csv", "val_accuracy", "98.62"), ":2: val_accuracy must be a fraction "
         "from 0 to 1, but is '98.62'", "a percentage as accuracy"),
        ("trials.csv", cell("trials.csv", "val_accuracy", "-0.1"), ":2: val_accuracy must be a fraction "
         "from 0 to 1, but is '-0.1'", "a negative accuracy"),
        ("trials.csv", cell("trials.csv", "num_parameters", "6218.5"), ":2: num_parameters must be a whole "
         "number, but is '6218.5'", "half a parameter"),
        ("trials.csv", cell("trials.csv", "num_parameters", ""), ":2: num_parameters must not be empty",
         "an empty cell"),
        ("trials.csv", cell("trials.csv", "seconds", "a minute"), ":2: seconds must be a number, but is "
         "'a minute'", "a word as time"),
        ("trials.csv", cell("trials.csv", "state", ""), ":2: state must not be empty", "no state"),
        ("trials.csv", cell("trials.csv", "num_macs", "macs", 0), " must have a column num_macs, but has "
         "trial,state,architecture,num_parameters,macs,peak_activation_bytes,num_blocks,head,val_accuracy,"
         "val_loss,epochs,seconds,seed,reason,spared_at", "a column renamed"),
        ("trials.csv", text("trials.csv", ""), " must have a column trial, but has none", "an empty file"),
        ("trials.csv", text("trials.csv", b"\xff\xfe"), " must be a CSV file in UTF-8, but 'utf-8' codec "
         "can't decode byte 0xff in position 0: invalid start byte", "not text"),
        ("trials.csv", changed("trials.csv", "\n0,", '\n"0,'), " must be a CSV file in UTF-8, but "
         "unexpected end of data", "a quote that is not closed"),
        ("trials.csv", changed("trials.csv", "\n0,", "\n0,0,"), ":2 must have 15 cells, but has 16",
         "a cell too many"),
        ("trials.csv", gone("trials.csv"), " must exist", "a missing file"),
        ("front.csv", cell("front.csv", "val_accuracy", "nan?"), ":2: val_accuracy must be a fraction from "
         "0 to 1, but is 'nan?'", "a word as accuracy"),
        ("front.csv", cell("front.csv", "architecture", ""), ":2: architecture must not be empty",
         "an empty cell"),
        ("front.csv", gone("front.csv"), " must exist", "a missing file"),
        ("designs.csv", cell("designs.csv", "paper_parameters", "~550000", 4), ":5: paper_parameters must be "
         "a whole number, but is '~550000'", "a word as count"),
        ("designs.csv", cell("designs.csv", "name", "HeavyCNN"), " must have a design named LightCNN",
         "LightCNN renamed"),
        ("designs.csv", gone("designs.csv"), " must exist", "a missing file"),
        ("settings.json", text("settings.json", "[1]"), " must hold a study's settings, but does not",
         "a list"),
        ("settings.json", text("settings.json", "{"), " must be JSON, but Expecting property name enclosed "
         "in double quotes: line 1 column 2 (char 1)", "half a file"),
        ("test_readings.csv", text("test_readings.csv", "read_at\n"), " must have a column num_runs, but has "
         "read_at", "a column is missing"),
    ]  # fmt: skip
    return [
        BadInput("search.report {out}/it", f"{it}/{name}{line}", alone(damage), f"{name}: {done}")
        for name, damage, line, done in cases
    ] + [
        BadInput("search.report {out}/none", "{out}/none must be the folder of a study"),
        BadInput("search.report", "the following arguments are required: folder"),
        BadInput("search.report a --b", "unrecognized arguments: --b"),
    ]


def _other_settings() -> list[BadInput]:
    advice = "--fresh moves them aside and starts over, another --name keeps both"
    it = "{out}/it"
    again = f"search.run {TINY} --out {{out}} --name it "
    differing = [
        ("--seed 1", "seed=0, but got 1"),
        ("--sampler random", "sampler='surrogate', but got 'random'"),
        ("--max-parameters 500", "budget.max_parameters=8000, but got 500"),
        ("--max-macs 90000", "budget.max_macs=None, but got 90000"),
        ("--epochs 2", "recipe.epochs=1, but got 2"),
        ("--train-images 301", "data.num_train_images=300, but got 301"),
    ]
    damaged = [
        ("settings.json", "", " must be JSON, but Expecting value: line 1 column 1 (char 0); --fresh "
         "starts over"),
        ("settings.json", "{}", " must hold a study's settings, but does not; --fresh starts over"),
        ("study.journal", b"[1]\n", " must be an Optuna journal, but is damaged (list indices must "
         "be integers or slices, not str); --fresh starts over"),
        ("runs.csv", "arm\n", " must have a column architecture, but has arm"),
        ("runs.csv", "arm,architecture,num_parameters,seed,epochs,train_accuracy,test_accuracy,seconds\n"
         "x,8-gap,90,0,8,,1.5,3\n", ":2: test_accuracy must be a fraction from 0 to 1, but is '1.5'"),
    ]  # fmt: skip
    return [
        *(BadInput(again + options, f"{it} holds runs with {line}; {advice}") for options, line in differing),
        *(
            BadInput(again, f"{it}/{name}{line}", text(name, content), f"{name} holds {content!r}")
            for name, content, line in damaged
        ),
        BadInput(
            again,
            f"{it} holds a study without its settings.json; --fresh moves it aside and starts over",
            gone("settings.json"),
            "settings.json: a missing file",
        ),
    ]


def _data() -> list[BadInput]:
    start = "search.run --trials 1 --out {out} --name new --data-dir {data}"
    labels, images = "train-labels-idx1-ubyte", "train-images-idx3-ubyte"
    label_sum = "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"

    def size(name: str, asked: int, held: int) -> str:
        return f"{{data}}/{name} must hold {asked} bytes of {name}, but holds {held}"

    def altered(found: str) -> str:
        return f"{{data}}/{labels} must have the SHA-256 {label_sum}, but has {found}"

    return [
        BadInput(
            "search.run --trials 1 --out {out} --name new --data-dir {out}/none",
            f"{{out}}/none must hold {images}, but it is missing",
        ),
        BadInput(
            start, f"{{data}} must hold {labels}, but it is missing", data_file(labels, None), "missing"
        ),
        BadInput(start, size(labels, 60008, 60007), data_file(labels, lambda c: c[:-1]), "labels cut short"),
        BadInput(start, size(labels, 60008, 0), data_file(labels, lambda c: b""), "labels empty"),
        BadInput(
            start, size(images, 47040016, 16), data_file(images, lambda c: c[:16]), "images' header only"
        ),
        BadInput(
            start,
            altered("bf46a6240aa86086957edff9459f5aa82834331a2048329fab637190315a68ad"),
            data_file(labels, lambda c: c[:-1] + b"\x0a"),
            "a label out of range",
        ),
        BadInput(
            start,
            altered("b674f6b7abdb79878a3d42f062c5d075dc6651ccffa90fa2a8e5c73a172f972b"),
            data_file(labels, lambda c: b"\0\0\x0d\x01" + c[4:]),
            "another magic number",
        ),
        BadInput(
            start,
            altered("e92d95cfb29a72142a0712995f74b658783f5f232ce907418614cb30efc35917"),
            data_file(labels, lambda c: bytes([*c[:500], c[500] ^ 1, *c[501:]])),
            "one bit altered",
        ),
    ]


def _studies() -> list[BadInput]:
    number = "must be a whole number of at least"
    start = "studies.gap_removal --out {out} "
    return [
        BadInput(start + "--seeds 0", f"argument --seeds: {number} 1, but got '0'"),
        BadInput(start + "--epochs x", f"argument --epochs: {number} 1, but got 'x'"),
        BadInput(start + "--train-images 60001", "--train-images must be from 10 to 60000, but got 60001"),
        BadInput(start + "--trials 5", "unrecognized arguments: --trials 5"),
        BadInput(start + "--devices gpu", "--devices must be auto, cpu or a list of this machine's GPUs "
        "(it has none), but got 'gpu'"),
    ]  # fmt: skip


BAD_INPUTS = [
    *(_options() + _names() + _architectures() + _tables() + _other_settings() + _data() + _studies())
]


def attempt(case: BadInput, folder: Path) -> tuple[int, str, str]:
    """What `case` is answered in `folder`, with a study in out/it: exit code, stderr, and the stderr due."""
    (folder / "data").mkdir()
    for path in find_files("mnist").iterdir():
        (folder / "data" / path.name).symlink_to(path)
    if case.damage is not None:
        case.damage(folder)
    places = {"out": str(folder / "out"), "data": str(folder / "data")}
    name, *arguments = case.command.format(**places).split()
    package = name in ("search.report", "search.export")
    module = importlib.import_module(f"{name}.__main__" if package else name)
    said, printed, code = io.StringIO(), io.StringIO(), 0
    with redirect_stderr(said), redirect_stdout(printed):
        try:
            if name.startswith("studies."):
                code = study.main(module.STUDY, module.__doc__, argv=arguments)
            else:
                code = module.main(arguments)
        except SystemExit as exit:
            code = int(exit.code or 0)
    assert printed.getvalue() == ""
    return code, said.getvalue(), f"error: {case.says.format(**places)}\n"


def tiny_study(out: Path) -> Path:
    """A search of one trial in `out`/it."""
    with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        assert run.main([*TINY.split(), "--out", str(out), "--name", "it"]) == 0
    return out


def copy_of(out: Path, folder: Path) -> Path:
    """`folder`, with a copy of `out` in it."""
    folder.mkdir(exist_ok=True)
    shutil.copytree(out, folder / "out")
    return folder
