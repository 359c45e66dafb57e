"""Options from the environment, for every command that has them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Container

from lightcnn.errors import UserError

VARIABLE = "LIGHTCNN_OPTIONS"  # such as "--workers 1 --data-dir /data"


def options_in_environment(known: Container[str]) -> list[str]:
    """The words of LIGHTCNN_OPTIONS that belong to `known` options.

    Raises:
        UserError: it is no command line.
    """
    try:
        words = shlex.split(os.environ.get(VARIABLE, ""))
    except ValueError as error:
        raise UserError(f"{VARIABLE} must be options as for a shell, but {error}") from None
    found, is_known = list[str](), False
    for word in words:
        if word.startswith("--"):
            is_known = word.partition("=")[0] in known
        found += [word] * is_known
    return found
