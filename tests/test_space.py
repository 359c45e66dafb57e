"""The search space: what it holds, that a candidate can be put back into it, and spaces of other sizes."""

from dataclasses import replace
from itertools import product

import numpy as np
import optuna
import pytest
from fakes import MNIST, SETTINGS, SPACE, new_study, run_search, study_where
from optuna.trial import FixedTrial

from lightcnn.architecture import Task, parse
from lightcnn.cost import num_parameters
from lightcnn.data import DATASETS
from lightcnn.designs import LIGHTCNN
from lightcnn.errors import UserError
from lightcnn.network import build
from search.budget import Budget
from search.records import finished
from search.report.importance import importance
from search.request import requested
from search.run import main
from search.run_options import parser
from search.samplers import SAMPLERS
from search.settings import Reference
from search.space import Space


def test_candidates_can_be_put_back():
    rng = np.random.default_rng(0)
    drawn = [SPACE.draw(rng) for _ in range(300)]
    assert all(SPACE.suggest(FixedTrial(SPACE.parameters(a))) == a for a in drawn)
    light = parse(LIGHTCNN, MNIST)
    assert SPACE.suggest(FixedTrial(SPACE.parameters(light))) == light


def test_distributions_are_what_is_suggested():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for task in (MNIST, Task(image_size=3, in_channels=3, num_classes=2)):
        trial, space = study.ask(), Space(task)
        suggested = space.suggest(trial)
        assert study.trials[-1].distributions == space.distributions()
        assert space.architecture(trial.params) == suggested


def test_draws_reach_all_of_the_space():
    rng = np.random.default_rng(1)
    drawn = [SPACE.draw(rng) for _ in range(2_000)]
    assert {len(a.blocks) for a in drawn} == {1, 2, 3, 4}
    assert {a.head for a in drawn} == set(SPACE.heads)
    assert {block.channels for a in drawn for block in a.blocks} == set(range(2, 33))


def smallest(space):
    return min(space.narrowest(), key=num_parameters)


def test_the_smallest_is_among_the_narrowest():
    # 2-gap: 20 + 30; each further block of 2 adds 38.
    assert (str(smallest(SPACE)), num_parameters(smallest(SPACE))) == ("2-gap", 50)
    rng = np.random.default_rng(2)
    assert min(num_parameters(SPACE.draw(rng)) for _ in range(2_000)) >= 50


def test_small_images_allow_fewer_blocks():
    assert [Space(Task(size, 1, 10)).depth for size in (1, 2, 3, 4, 8, 28)] == [1, 2, 2, 3, 4, 4]
    tiny = Task(image_size=3, in_channels=3, num_classes=2)
    rng = np.random.default_rng(3)
    assert {len(Space(tiny).draw(rng).blocks) for _ in range(50)} == {1, 2}


@pytest.mark.parametrize(
    ("side", "active"),
    [
        (1, {1: ["gap"]}),  # flatten would be the same network
        (2, {1: ["gap", "flatten"], 2: ["gap"]}),  # and so would pool2
        (4, {1: ["gap", "pool2", "pool3", "flatten"], 2: ["gap", "flatten"], 3: ["gap"]}),
        (
            9,
            {
                1: ["gap", "pool2", "pool3", "pool4", "flatten"],
                2: ["gap", "pool2", "pool3", "flatten"],  # 4x4
                3: ["gap", "flatten"],  # 2x2
                4: ["gap"],
            },
        ),
        (
            28,
            {
                **{number: ["gap", "pool2", "pool3", "pool4", "flatten"] for number in (1, 2, 3)},
                4: ["gap", "pool2", "flatten"],  # 3x3
            },
        ),
    ],
)
def test_heads_that_would_be_another_or_nothing_are_inactive(side, active):
    space = Space(Task(side, 1, 10))
    found = {num_blocks: [] for num_blocks in range(1, space.depth + 1)}
    for num_blocks, head in product(found, space.heads):
        widths = {f"width_{block}": 2 for block in range(1, space.depth + 1)}
        candidate = space.architecture({"num_blocks": num_blocks, **widths, "head": head})
        if candidate is not None:
            assert candidate.head == head and candidate in space
            found[num_blocks].append(head)
    assert found == active
    rng = np.random.default_rng(0)
    drawn = {(len(a.blocks), a.head) for a in (space.draw(rng) for _ in range(500))}
    assert drawn == {(num_blocks, head) for num_blocks, heads in active.items() for head in heads}


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 9])
def test_no_network_stands_there_twice(side):
    space = Space(Task(side, 1, 3), widths=(2, 3), max_blocks=4)
    names = [*space.distributions()]
    met = {}
    widths = [(2, 3)] * space.depth
    for values in product(range(1, space.depth + 1), *widths, space.heads):
        parameters = dict(zip(names, values, strict=True))
        candidate = space.architecture(parameters)
        if candidate is None:
            continue
        used = (values[0], values[1 : values[0] + 1], values[-1])
        assert met.setdefault(used, candidate) == candidate  # a width that is not used changes nothing
        active = [it.name for it in space.dimensions if it.is_active(candidate)]
        assert active == ["num_blocks", *names[1 : values[0] + 1], "head"]
        assert space.architecture(space.parameters(candidate)) == candidate
        assert space.parameters(candidate) == parameters | dict.fromkeys(names[values[0] + 1 : -1], 2)
    assert len(set(met.values())) == len({str(it) for it in met.values()}) == len(met)
    assert len({str(build(it)) for it in met.values()}) == len(met)


@pytest.mark.parametrize(
    "text",
    [
        *("1-gap", "33-gap", "2-2-2-2-2-gap", "flatten", "8-pool5", "8-gap-16", "8k5-gap", "8p-gap"),
        *("8v-gap", "8n-8-gap", "2-33-gap"),
    ],
)
def test_what_no_parameters_stand_for_is_no_member(text):
    assert parse(text, MNIST) not in SPACE
    assert parse("8-gap", MNIST) in SPACE and parse("8-gap", Task(27, 1, 10)) not in SPACE


SPACES = {
    "one head": Space(MNIST, heads=("flatten",)),
    "two blocks": Space(MNIST, max_blocks=2),
    "wide": Space(MNIST, widths=(4, 64)),
    "deep": Space(MNIST, max_blocks=6),
    "three heads": Space(MNIST, heads=("gap", "pool2", "flatten")),
    "one width": Space(MNIST, widths=(3, 3), max_blocks=6),
    "one block": Space(MNIST, widths=(2, 40), max_blocks=1, heads=("gap",)),
    "one pixel": Space(Task(1, 1, 10), widths=(2, 40)),
}


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "gp"])
@pytest.mark.parametrize("name", SPACES)
def test_a_search_of_another_space(name, sampler):
    space = SPACES[name]
    reference = Reference.of(str(smallest(space)), space.task)
    settings = replace(SETTINGS, space=space, reference=reference, sampler=sampler)
    study = new_study()
    run_search(study, settings, trials=18)
    records = finished(study)
    assert len(records) == len({record.architecture for record in records.values()}) == 18
    assert records[0].architecture == str(smallest(space))
    found = [parse(record.architecture, space.task) for record in records.values()]
    assert all(candidate in space for candidate in found)
    assert {it.head for it in found} <= set(space.heads)
    assert {len(it.blocks) for it in found} <= set(range(1, space.depth + 1))
    if name in ("two blocks", "deep", "three heads"):
        assert len({it.head for it in found}) > 1 and len({len(it.blocks) for it in found}) > 1


def test_a_space_of_one_width_is_searched_to_its_last_network(capsys):
    space = SPACES["one width"]
    assert space.depth == 5  # of the 6 blocks that were asked for
    study = new_study()
    run_search(study, replace(SETTINGS, space=space, reference=Reference.of("3-gap", MNIST)), trials=30)
    assert "the space has no more candidates within 30,000 parameters" in capsys.readouterr().err
    # Five heads on sides 28, 14 and 7, without pool3 and pool4 on side 3, gap alone on a single pixel.
    assert len(finished(study)) == 3 * 5 + 3 + 1


@pytest.mark.parametrize("name", [name for name in SPACES if name not in ("one width", "one pixel")])
def test_what_mattered_in_another_space(name):
    settings = replace(SETTINGS, space=SPACES[name])
    found = importance(study_where(lambda it: -2.0 - 0.5 * np.log(it.blocks[0].channels), 39, 0, settings))
    assert {effect.dimension.name for effect in found.effects} == {*SPACES[name].distributions()}
    first = found.effects[0]
    assert first.dimension.name == "width_1" and found.explained > 0.8
    assert [*first.accuracies.values()] == sorted(first.accuracies.values())
    low, high = SPACES[name].widths
    assert all(low <= int(width) <= high for width in first.accuracies)


def test_a_dimension_of_one_value_does_not_matter():
    settings = replace(SETTINGS, space=Space(MNIST, widths=(3, 3), max_blocks=6), budget=Budget(10**9))
    found = importance(study_where(lambda it: -2.0 - 0.2 * len(it.blocks), 19, 0, settings))
    assert found is None  # one short of the least
    wider = replace(settings, space=Space(MNIST, widths=(3, 4), max_blocks=4, heads=("gap",)))
    found = importance(study_where(lambda it: -2.0 - 0.2 * len(it.blocks), 25, 0, wider))
    shares = {effect.dimension.name: effect.share for effect in found.effects}
    assert shares["head"] == 0  # at equal size, and with GAP, hardly the number of blocks can vary either
    (depth,) = [it for it in found.effects if it.dimension.name == "num_blocks"]
    assert all(found.sizes[0] < found.sizes[1] and 0 < it < 1 for it in depth.accuracies.values())


def test_the_largest_widths_that_are_shown():
    shown = {it.name: it.shown for it in Space(MNIST, widths=(4, 64), max_blocks=1).dimensions}
    assert shown == {"num_blocks": (1,), "width_1": (8, 16, 32, 64), "head": SPACE.heads}
    assert Space(MNIST, widths=(5, 7)).dimensions[1].shown == (5,)


ONCE = (
    "a space needs at least one head, each of them once and by its own name (gap, not pool1), but got heads="
)
REFUSED = [
    ({"widths": (32, 2)}, "widths must lie between 1 and 999999, the smaller first, but got 32:2"),
    ({"widths": (0, 2)}, "widths must lie between 1 and 999999, the smaller first, but got 0:2"),
    (
        {"widths": (2, 1_000_000)},
        "widths must lie between 1 and 999999, the smaller first, but got 2:1000000",
    ),
    ({"max_blocks": 0}, "a space needs at least 1 block, but got max_blocks=0"),
    ({"heads": ()}, ONCE),
    ({"heads": ("gap", "flatten", "gap")}, f"{ONCE}gap,flatten,gap"),
    ({"heads": ("pool1",)}, f"{ONCE}pool1"),
    ({"heads": ("gap", "pool02")}, f"{ONCE}gap,pool02"),
    ({"heads": ("pool2", "pool02")}, f"{ONCE}pool2,pool02"),
    ({"heads": ("gap", "max")}, "a head is gap, flatten or pool<side>, but got head='max'"),
    ({"heads": ("",)}, "a head is gap, flatten or pool<side>, but got head=''"),
    (
        {"heads": ("gap", "pool0")},
        "the last maps can be pooled to a side of 1 to 10000, their own, but got grid=0",
    ),
    (
        {"heads": ("pool28", "pool30")},
        "a space needs a head that images of 28x28 pixels allow, but got heads=pool28,pool30",
    ),
]


@pytest.mark.parametrize(("changes", "line"), REFUSED)
def test_an_impossible_space_is_refused(changes, line):
    with pytest.raises(UserError) as caught:
        Space(MNIST, **changes)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--widths", "32:2"], REFUSED[0][1]),
        (
            ["--widths", "4-64"],
            "argument --widths: must be two whole numbers such as 4:64, but got '4-64'",
        ),
        (
            ["--widths", "1:2:3"],
            "argument --widths: must be two whole numbers such as 4:64, but got '1:2:3'",
        ),
        (["--max-blocks", "0"], "argument --max-blocks: must be a whole number of at least 1, but got '0'"),
        (["--max-blocks", "21"], "argument --max-blocks: must be a whole number of at most 20, but got '21'"),
        (["--heads", "gap,gap"], f"{ONCE}gap,gap"),
        (["--heads", "pool1"], f"{ONCE}pool1"),
        (["--heads", "gap,max"], "a head is gap, flatten or pool<side>, but got head='max'"),
        (["--heads", ""], "a head is gap, flatten or pool<side>, but got head=''"),
        (
            ["--heads", "pool28"],
            "a space needs a head that images of 28x28 pixels allow, but got heads=pool28",
        ),
    ],
)
def test_an_impossible_space_is_one_line_of_the_command(options, line, tmp_path, capsys, mnist_folder):
    with pytest.raises(SystemExit) as caught:
        main(["--trials", "1", "--out", str(tmp_path / "reports"), *options])
    assert (caught.value.code, capsys.readouterr().err) == (2, f"error: {line}\n")
    assert not (tmp_path / "reports").exists()


def test_the_space_of_the_options(mnist_folder, capsys):
    asked = ["--widths", "4:64", "--max-blocks", "6", "--heads", "gap,pool2,flatten"]
    settings, _ = requested(parser().parse_args(["--trials", "1", *asked]))
    assert settings.space == Space(DATASETS["mnist"].task, (4, 64), 6, ("gap", "pool2", "flatten"))
    assert capsys.readouterr().err == "--max-blocks 6: the images allow 5\n"
    settings, _ = requested(parser().parse_args(["--trials", "1"]))
    assert settings.space == SPACE and capsys.readouterr().err == ""
