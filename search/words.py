"""A command's options as keywords in Python: the same names, defaults, rules and errors.

`--max-blocks 3` is `max_blocks=3`, `--no-baselines` is `no_baselines=True`, `--heads gap,pool2` is
`heads="gap,pool2"` or `heads=["gap", "pool2"]`, and None is the default. What the command line does with its
options is then done with these: there is no other way through.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from inspect import Parameter, Signature
from typing import Any

from lightcnn.errors import UserError
from search.command import Parser


def parse_words(parser: Parser, words: Mapping[str, Any], *positional: str) -> argparse.Namespace:
    """The options that the keywords `words` stand for, with the same words on a command line in `command`.

    Args:
        positional: what stands there without an option's name.

    Raises:
        UserError: as for a command line, an option is not known, is missing, or breaks its rule.
    """
    options, arguments = _options(parser), [*positional]
    for word, value in words.items():
        name = f"--{word.replace('_', '-')}"
        option = options.get(word)
        if value is None:
            continue
        if option is not None and option.nargs == 0:
            if not isinstance(value, bool):
                raise UserError(f"{name} must be True or False, but got {value!r}")
            arguments += [name] * value
            continue
        # An option that may be repeated has a value each time, another one a list.
        repeated = isinstance(option, argparse._AppendAction) and isinstance(value, list | tuple)
        for text in [_text(it, option) for it in value] if repeated else [_text(value, option)]:
            arguments += [f"{name}={text}"] if text.startswith("-") else [name, text]
    return parser.parsed(arguments)


def signature(parser: Parser) -> Signature:
    """What an editor shows of a function that takes the options of `parser` as keywords."""
    defaults = {
        word: Parameter.empty if option.required else option.default
        for word, option in _options(parser).items()
    }
    return Signature([Parameter(word, Parameter.KEYWORD_ONLY, default=it) for word, it in defaults.items()])


def _options(parser: Parser) -> dict[str, argparse.Action]:
    """By the keywords that stand for them."""
    return {
        option.option_strings[-1].removeprefix("--").replace("-", "_"): option
        for option in parser._actions
        if option.option_strings and not isinstance(option, argparse._HelpAction)
    }


def _text(value: object, option: argparse.Action | None) -> str:
    """`value` as one writes it on a command line."""
    if not isinstance(value, list | tuple):
        return str(value)
    between = ":" if option is not None and ":" in str(option.metavar) else ","  # as in LOW:HIGH
    return between.join(map(str, value))
