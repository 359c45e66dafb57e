"""The error that is the user's to mend."""


class UserError(ValueError):
    """Something that a user gave breaks a rule; the message is one line: rule, name and value.

    Raised only where input is checked, as commands answer it with that line and exit code 2. Any other
    `ValueError` is a fault of this program, and shows its traceback.
    """
