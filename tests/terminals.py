"""A command in a real terminal, 80 columns wide: what it shows there, and Ctrl-C as a key."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _as_a_shell_starts_it():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which whoever started the tests may ignore


class Terminal:
    """`command` in a pseudo-terminal of its own, which is its controlling one."""

    def __init__(self, command, columns=80, **environment):
        self.columns, self.shown = columns, ""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=kept | {"TERM": "xterm-256color"} | environment,
            start_new_session=True,
            preexec_fn=_as_a_shell_starts_it,
        )
        os.close(theirs)

    def read(self, until=None):
        """Read what is shown, until it has `until` or the command has ended; all that was shown so far."""
        while until is None or until not in self.shown:
            try:
                piece = os.read(self._ours, 65_536)
            except OSError:  # as Linux says that no process has the other end
                piece = b""
            if not piece:
                assert until is None, f"{until!r} was never shown:\n{self.shown}"
                break
            self.shown += CONTROL.sub("", piece.decode(errors="replace"))
        return self.shown

    def press(self, key):
        """Type `key`."""
        os.write(self._ours, key.encode())

    def end(self):
        """The exit code, when all was read, and the lines that were shown, redrawn ones each time."""
        self.read()
        os.close(self._ours)
        return self.process.wait(60), re.split(r"[\r\n]+", self.shown)
