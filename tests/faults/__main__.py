"""python -m tests.faults: kill, tear, fill and mistype, and write what held into reports/faults.md."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from search.command import Parser, about_this_run, at_least, run_command
from search.storage import write_whole
from tests.faults import scenes
from tests.faults.bad_inputs import BAD_INPUTS, attempt, copy_of, tiny_study

RANDOM = {
    scenes.kill_drivers: ("Driver killed (SIGKILL) at a random moment of search or re-training", 50),
    scenes.kill_workers: ("Worker killed (SIGKILL) at a random moment", 50),
    scenes.tear_journals: ("Journal cut at a random byte", 20),
}
SINGLE = {
    scenes.hang_worker: "Worker that hangs (SIGSTOP)",
    scenes.exhaust_memory: "Worker that gets no more memory (RLIMIT_AS)",
    scenes.fill_disk: "Disk full (a small tmpfs, filled)",
    scenes.forbid_writing: "Folder made read-only",
    scenes.forbid_semaphores: "/dev/shm read-only",
    scenes.close_streams: "Standard streams closed",
    scenes.interrupt_twice: "Ctrl-C twice",
    scenes.two_drivers: "Two drivers on one study",
    scenes.interrupted_is_the_same: "One worker: killed and resumed against left alone",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = Parser("python -m tests.faults", "Do faults to tiny searches and write down what held.")
    parser.add_argument("--seed", type=at_least(0), default=0, metavar="S", help="of the random moments")
    parser.add_argument(
        "--out", type=Path, default=Path("reports/faults.md"), metavar="FILE", help="the table to write"
    )
    options = parser.parse_args(argv)
    return run_command(parser, lambda: _run(options.out, options.seed, options.command))


def _run(target: Path, seed: int, command: str) -> None:
    lines = ["| fault | how often | what held |", "|---|---|---|"]

    def tell(fault: str, number: int, scene: Callable[[], str]) -> None:
        began = time.monotonic()
        try:
            held = scene()
        except PermissionError as error:
            held, number = f"not tried: {error}", 0
        lines.append(f"| {fault} | {number} | {held} |")
        print(f"{lines[-1]} ({time.monotonic() - began:.0f} s)", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for scene, (fault, number) in RANDOM.items():
            out, rng = folder / scene.__name__, random.Random(seed)
            tell(fault, number, lambda scene=scene, out=out, rng=rng, n=number: scene(out, rng, n))
        for single, fault in SINGLE.items():
            tell(fault, 1, lambda scene=single: scene(folder / scene.__name__))
        answers = _bad_inputs(folder)
    about = about_this_run(command)
    text = f"""# Faults, and what held

Made by `{about["command"]}` with torch {about["torch"]} and optuna {about["optuna"]} on
{about["machine"]}.

A scene fails, and nothing is written here, if a run that had ended is lost, counted twice, or differs; if a
resumed study does not end with exactly the trials asked for; or if a process is left over. All of it is real:
searches on MNIST, of {scenes.SEARCH_ONLY[1]} trials, or of {scenes.WITH_RETRAINING[1]} and a re-training,
with two workers.

{chr(10).join(lines)}

## Bad input: {len(BAD_INPUTS)} cases

Each exits with 2 and exactly this line on stderr (after `error: `), and changes nothing.

| `python -m` ... | after | line |
|---|---|---|
{chr(10).join(answers)}
"""
    write_whole(target, text)
    print(f"The table: {target}")


def _bad_inputs(folder: Path) -> list[str]:
    torch.cuda.device_count = lambda: 0  # the lines say which GPUs there are
    study = tiny_study(folder / "study")
    answers = []
    for i, case in enumerate(BAD_INPUTS):
        code, said, expected = attempt(case, copy_of(study, folder / str(i)))
        if (code, said) != (2, expected):
            raise RuntimeError(f"{case.command} {case.done}: expected {expected!r}, but got {code}, {said!r}")
        cells = (f"`{case.command}`", case.done, case.says)
        answers.append(
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
        )
    print(f"{len(answers)} bad inputs: each has its line")
    return answers


if __name__ == "__main__":
    sys.exit(main())
