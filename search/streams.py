"""Standard streams that take whatever is said, however the caller left them."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path

# What the terminal's text has beyond ASCII, for where the encoding does not.
_PLAIN = str.maketrans({"–": "-", "…": "...", "×": "x", "±": "+/-"})


def mend_streams() -> None:
    """Open what was closed, and let no character end a command that its stream cannot show."""
    _open_streams()
    codecs.register_error("degraded", _degraded)
    for stream in (sys.stdout, sys.stderr):  # what cannot be shown must not end what was trained for an hour
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="degraded")


def _degraded(error: UnicodeError) -> tuple[str, int]:
    """For `codecs.register_error`: characters that the encoding lacks, as it can have them."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(it if it.isascii() else "?" for it in text), error.end


def _open_streams() -> None:
    """Standard streams that the caller closed (`2>&-`) lead nowhere, here and in the workers.

    Left closed, their places would be taken by the next files to be opened, and what is said would go there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode)  # noqa: SIM115  # takes the lowest place that is free
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
