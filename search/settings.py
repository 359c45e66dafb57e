"""What decides a study's results: frozen types, and the file that keeps them, with its format.

A field that a later version adds has a default, or `_upgrade_search` says what a file without it meant: an
old study then resumes and renders as before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from lightcnn.architecture import Architecture, Task, parse
from lightcnn.data import DATASETS, WHITE, recorded_sums
from lightcnn.designs import DESIGNS, LIGHTCNN, NamedDesign, designs_for
from lightcnn.errors import UserError
from lightcnn.training import Recipe
from search.budget import Budget
from search.execution.runs import TrainingData
from search.image_facts import ImageFacts
from search.space import Space
from search.stopping import StoppingRule
from search.storage import (
    JOURNAL,
    RETRAINED_RUNS,
    SETTINGS,
    move_aside,
    only_driver,
    study_folder,
    write_whole,
)

FORMAT = 4  # of settings.json; 1 had no number

S = TypeVar("S")
Colour = Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]
Engine = Literal["torch", "native"]  # PyTorch, or the compiled one; of two engines no two runs are the same


@dataclass(frozen=True)
class Reference:
    """The design that the others are held against."""

    name: str  # a named design's, or the architecture's text
    architecture: str

    @staticmethod
    def of(text: str, task: Task) -> Reference:
        """The reference that `text` asks for: a named design, or an architecture.

        Raises:
            UserError: it is neither, or the images are too small for it.
        """
        named = next((design for design in DESIGNS if text in (design.name, design.text)), None)
        if named is not None:
            return Reference(named.name, str(named.architecture(task)))
        canonical = str(parse(text, task))
        return Reference(canonical, canonical)


@dataclass(frozen=True)
class DataSettings:
    """Which images candidates are trained and judged on; where the files lie decides nothing."""

    dataset: str
    sha256: dict[str, str]  # by file name
    num_validation: int
    num_train_images: int | None  # None: all that validation leaves
    split_seed: int = 0
    background: Colour = WHITE  # what transparent images were laid on

    @staticmethod
    def of(data: TrainingData) -> DataSettings:
        """What is recorded of `data`."""
        return DataSettings(
            data.dataset.name,
            recorded_sums(data.dataset),
            data.num_validation,
            data.num_train_images,
            data.split_seed,
            data.dataset.background,
        )

    @property
    def is_mnist(self) -> bool:
        """Whether it is the data set that the paper's claims are about."""
        return self.sha256 == recorded_sums(DATASETS["mnist"])


@dataclass(frozen=True)
class SearchSettings:
    """What decides the result of a search."""

    space: Space
    reference: Reference
    recipe: Recipe
    seed: int
    sampler: str
    budget: Budget
    data: DataSettings
    stopping: StoppingRule | None = None  # None: every run is trained to its end
    engine: Engine = "torch"  # what trained on the CPU; earlier versions had nothing else
    # Of what is trained again for the test: of large networks, and of small ones. None: the search's.
    final_epochs: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None

    @property
    def final_recipe(self) -> Recipe:
        """By which designs are trained again for the test."""
        large, small = self.final_epochs or (self.recipe.epochs,) * 2
        return replace(self.recipe, epochs=large, small_epochs=None if small == large else small)

    @property
    def task(self) -> Task:
        """What the data set asks of a network."""
        return self.space.task

    @property
    def reference_architecture(self) -> Architecture:
        """The reference as a value."""
        return parse(self.reference.architecture, self.task)

    @property
    def designs(self) -> tuple[NamedDesign, ...]:
        """The designs that stand beside the candidates, the reference first.

        The hand-made ones belong to LightCNN: with another reference they are absent unless they are placed.
        """
        if self.reference.architecture == LIGHTCNN:
            return designs_for(self.task)
        return (NamedDesign(self.reference.name, self.reference.architecture),)


@dataclass(frozen=True)
class AblationSettings:
    """What decides the result of an ablation's runs; its arms may grow."""

    dataset: str
    recipe: Recipe
    train_images: int
    sha256: dict[str, str]
    engine: Engine = "torch"


@dataclass(frozen=True)
class SettingsFile(Generic[S]):
    """What settings.json holds: what decides the results, and what is known besides."""

    settings: S
    about: Mapping[str, Any]  # command, versions, machine of the latest call
    placed: tuple[str, ...] = ()  # architectures that the user has placed beside the front so far
    images: ImageFacts = field(default_factory=ImageFacts)


def recorded(settings: Any) -> dict[str, Any]:
    """`settings`, one of the types here or made of them, as JSON has it."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return content


def engine_name(library: Path | None) -> Engine:
    """What is recorded where the compiled engine `library` trains; None: PyTorch."""
    return "torch" if library is None else "native"


def begun_with(folder: Path, kind: type[S]) -> S | None:
    """The settings of the study in `folder`; None if there is none, or if its settings cannot be read."""
    try:
        return read(folder / SETTINGS, kind).settings
    except UserError:
        return None


def read(path: Path, kind: type[S]) -> SettingsFile[S]:
    """The settings of `kind` in the file `path`, of this format or an earlier one.

    Raises:
        UserError: the file is missing, of a later format, or was damaged by hand.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} must exist") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} must be JSON, but {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        raise UserError(f"{path} must hold a study's settings, but does not")
    number = content.get("format", 1)
    if not isinstance(number, int) or number > FORMAT:
        raise UserError(f"{path} must be of format {FORMAT} or earlier, but is of format {number!r}")
    if kind is SearchSettings:
        _upgrade_search(content["settings"], number)
    try:
        settings = TypeAdapter(kind).validate_json(json.dumps(content["settings"]), strict=True)
        images = TypeAdapter(ImageFacts).validate_json(json.dumps(content.get("images", {})), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where, why = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path} must hold a study's settings, but {where}: {why}") from None
    unknown = _flat(content["settings"]).keys() - _flat(recorded(settings)).keys()
    if unknown:
        raise UserError(f"{path} must hold a study's settings and nothing else, but holds {min(unknown)}")
    about, placed = content.get("about"), content.get("placed", [])
    return SettingsFile(
        settings,
        about if isinstance(about, dict) else {},
        tuple(str(text) for text in placed) if isinstance(placed, list) else (),
        images,
    )


def _upgrade_search(settings: dict[str, Any], number: int) -> None:
    """What formats before `number` + 1 said otherwise, or did not say.

    In format 1 the task stood apart, and the reference was LightCNN; up to format 2 a budget was one of
    parameters; up to format 3 final epochs were those of all networks.
    """
    if number < 2:
        task, space = settings.pop("task", None), settings.get("space")
        if isinstance(space, dict):
            space.setdefault("task", task)
        settings.setdefault("reference", {"name": "LightCNN", "architecture": LIGHTCNN})
    if number < 3 and "max_parameters" in settings:
        settings["budget"] = {"max_parameters": settings.pop("max_parameters")}
    if number < 4 and isinstance(settings.get("final_epochs"), int):
        settings["final_epochs"] = [settings["final_epochs"]] * 2


@contextmanager
def held_study(
    out: Path,
    name: str,
    fresh: bool,
    file: SettingsFile[Any],
    say: Callable[[str], None],
) -> Iterator[Path]:
    """The folder `out`/`name`, this process its only driver, with runs of `file`'s settings in it or none.

    What `file` knows besides is recorded beside them; what was placed earlier stays placed.

    Args:
        fresh: move what an earlier run left there aside, and `say` where it went.

    Raises:
        UserError: as `study_folder`, `only_driver` and `read`; or the runs there have other settings.
    """
    folder = study_folder(out, name)
    with only_driver(folder):
        if fresh and (aside := move_aside(folder)):
            say(f"the earlier run is now in {aside}")
        agree(folder, file)
        yield folder


def agree(folder: Path, file: SettingsFile[Any]) -> None:
    """Record the settings of `file` in `folder`, or check that they are those of the runs already there.

    How long designs are trained again may change until the first of them is.

    Raises:
        UserError: they are not, or what is there cannot be read.
    """
    path = folder / SETTINGS
    now = recorded(file.settings)
    if path.exists():
        try:
            earlier = read(path, type(file.settings))
        except UserError as error:
            raise UserError(f"{error}; --fresh starts over") from None
        was, flat = _flat(recorded(earlier.settings)), _flat(now)
        undecided = () if (folder / RETRAINED_RUNS).exists() else ("final_epochs",)
        for key in flat | was:
            if was.get(key) != flat.get(key) and key not in undecided:
                raise UserError(
                    f"{folder} holds runs with {key}={was.get(key)!r}, but got {flat.get(key)!r}; "
                    "--fresh moves them aside and starts over, another --name keeps both"
                )
        file = replace(file, placed=tuple(dict.fromkeys([*earlier.placed, *file.placed])))
    elif (folder / JOURNAL).exists():
        raise UserError(
            f"{folder} holds a study without its {SETTINGS}; --fresh moves it aside and starts over"
        )
    content = {"format": FORMAT, "settings": now, "placed": list(file.placed)}
    content |= {"images": asdict(file.images), "about": dict(file.about)}
    write_whole(path, json.dumps(content, indent=2) + "\n")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`settings` within settings under dotted names, so that a difference is named and not searched for."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
