"""Where the files of an export go, and what they may replace: what an earlier one wrote, nothing else."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightcnn.errors import UserError
from search.export.c_source import c_name
from search.export.formats import format_of

# The headers of C: one of these names beside them would be read in their place.
C_HEADERS = re.compile(
    "assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal|stdalign|stdarg|"
    "stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|tgmath|threads|time|uchar|wchar|wctype",
    re.IGNORECASE,
)
# Ends a card: the sum of what stands before it, and of each file that it describes.
_SUMS = re.compile(r"<!-- SHA-256 of what search\.export wrote\n(?P<sums>(?:[0-9a-f]{64}  .+\n)+)-->\n\Z")


@dataclass(frozen=True)
class Targets:
    """The files to be written.

    formats: suffix by name, in the order in which they were asked for.
    card: the first one's name with .md.
    """

    folder: Path
    formats: Mapping[str, str]
    card: str

    @property
    def files(self) -> list[str]:
        """All names: a C file brings a header."""
        headers = [_header(name) for name, suffix in self.formats.items() if suffix.endswith(".c")]
        return [*self.formats, *headers]


def targets_of(paths: Sequence[Path]) -> Targets:
    """Where files go that `--to` names.

    Raises:
        UserError: an unknown format; two folders; two files that C would confuse; a place that cannot be
            written; or a file there that no earlier export wrote, or a card of other files, too.
    """
    folders = list(dict.fromkeys(path.parent.resolve() for path in paths))
    if len(folders) > 1:
        raise UserError(
            f"--to must name files in one folder, as one card describes them, but got {folders[1]}, too"
        )
    formats = {path.name: format_of(path) for path in paths}
    first, suffix = next(iter(formats.items()))
    targets = Targets(paths[0].parent, formats, first.removesuffix(suffix) + ".md")
    _check_c_names([name for name, suffix in formats.items() if suffix.endswith(".c")])
    for name in (*targets.files, targets.card):
        if (targets.folder / name).is_dir():
            raise UserError(f"--to must be a file, but {targets.folder / name} is a folder")
    try:
        targets.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=targets.folder):
            pass
    except OSError as error:
        raise UserError(
            f"--to must be in a folder that can be written, but got {paths[0]}: {error.strerror}"
        ) from None
    _check_replaced(targets)
    return targets


def with_sums(card: str, sums: Mapping[str, str]) -> str:
    """`card` with the SHA-256 of itself and of its files, by name."""
    lines = [f"{_sha256(card.encode())}  (this page above)", *(f"{it}  {name}" for name, it in sums.items())]
    return card + "\n".join(["<!-- SHA-256 of what search.export wrote", *lines, "-->\n"])


def sums_of(card: Path) -> dict[str, str] | None:
    """SHA-256 by name of the files that `card` describes; None if it is no card as it was written."""
    try:
        content = card.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None
    if (found := _SUMS.search(content)) is None:
        return None
    own, *others = found["sums"].splitlines()
    if own.partition("  ")[0] != _sha256(content[: found.start()].encode()):
        return None
    return {name: it for it, _, name in (line.partition("  ") for line in others)}


def sha256_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 by name."""
    return {name: _sha256(content) for name, content in files.items()}


def _check_c_names(names: Iterable[str]) -> None:
    earlier: dict[str, str] = {}
    for name in names:
        stem = name.removesuffix(".c")
        if C_HEADERS.fullmatch(stem):
            raise UserError(
                f"--to {name} would need a header {stem}.h, which hides the C library's; choose another name"
            )
        if not stem.isprintable() or {*stem} & {*'"\\'}:
            raise UserError(f"--to must name a C file whose header can be included, but got {name!r}")
        identifier = c_name(stem).upper()
        if other := earlier.get(identifier):
            raise UserError(
                f"--to must name C files that differ in letters and digits, but got {other} and {name}"
            )
        earlier[identifier] = name


def _check_replaced(targets: Targets) -> None:
    card = targets.folder / targets.card
    sums = sums_of(card) or {}
    if card.exists() and not sums:
        raise UserError(
            f"--to {next(iter(targets.formats))} would replace {card}, as its card, but this command did not "
            "write it or it was changed since; move it or choose another name"
        )
    for name in targets.files:
        path = targets.folder / name
        if path.exists() and sums.get(name) != _sha256(path.read_bytes()):
            raise UserError(
                f"--to would replace {path}, but this command did not write it with {targets.card} or it was "
                "changed since; move it or choose another name"
            )
    others = [name for name in sums if name not in targets.files and (targets.folder / name).exists()]
    if others:
        raise UserError(
            f"--to would replace {card}, the card of {', '.join(others)}, too; name them as well or choose "
            "another name"
        )


def _header(name: str) -> str:
    return name.removesuffix(".c") + ".h"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
