"""Errors for people: what they can cause, and what went wrong around the program."""


class UserError(ValueError):
    """Something that a user gave breaks a rule; the message is one line: rule, name and value.

    Raised only where input is checked, as commands answer it with that line and exit code 2. Any other
    `ValueError` is a fault of this program, and shows its traceback.
    """


class Failure(RuntimeError):
    """Something that the command needs did not work, through no fault of its input; the message is one line.

    Commands answer it with that line and exit code 1.
    """
