"""A person at a terminal, or a pipe that stands for one.

Talk goes to standard error; results are not this module's business. A hidden
answer is never echoed. Input is awaited, not blocked on, so that a connection
of the login stays alive and Ctrl-C works at once.
"""

import asyncio
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self, TextIO

import segno

from sabir.cli.harmless import harmless
from sabir.errors import ConfigInvalid

LINE_OCTETS_MAX: Final = 64 * 1024
"""One answer; what `crypto.sealing` takes."""
_CHUNK_OCTETS: Final = 4096
_BLOCKS: Final = "█▀▄"


class Terminal:
    """Asks and shows.

    Args:
        stdin: descriptor to read from.
        out: where to show.
    """

    def __init__(self, *, stdin: int, out: TextIO) -> None:
        self.is_interactive = os.isatty(stdin)
        """Whether a person is there to be asked again."""
        self._stdin = stdin
        self._out = out
        self._unread = b""
        self._ended = False

    @classmethod
    def of_process(cls) -> Self:
        """Use this process's standard input and standard error."""
        return cls(stdin=0, out=sys.stderr)

    async def ask(self, prompt: str, *, hidden: bool = False) -> str | None:
        """Read one line, without its end; None at the end of input.

        Raises:
            ConfigInvalid: too long, or not UTF-8.
        """
        if not hidden or not self.is_interactive:
            self._prompt(prompt)
            line = await self._line()
        else:
            with self._echo_off():
                self._prompt(prompt)
                line = await self._line()
            self.say()
        if line is None:
            return None
        try:
            return line.decode()
        except UnicodeDecodeError:
            raise ConfigInvalid("The answer is not UTF-8: type it again.") from None

    def say(self, text: str = "") -> None:
        """Show a text; control characters in it cannot move the cursor."""
        self._out.write(harmless(text) + "\n")
        self._out.flush()

    def show_code(self, data: str) -> None:
        """Show a QR code, if the screen can, and its text below."""
        if self._has_blocks():
            try:
                code = segno.make(data, error="l", micro=False)
            except segno.DataOverflowError:
                self.say("(too long for a QR code)")
            else:
                code.terminal(self._out, compact=True)
        self.say(data)

    # ---- reading

    async def _line(self) -> bytes | None:
        while b"\n" not in self._unread and not self._ended:
            if len(self._unread) > LINE_OCTETS_MAX:
                raise ConfigInvalid(
                    f"The answer is longer than {LINE_OCTETS_MAX} octets: this is not"
                    " what was asked for."
                )
            chunk = await self._chunk()
            self._ended = not chunk
            self._unread += chunk
        if not self._unread:
            return None
        line, _, self._unread = self._unread.partition(b"\n")
        return line.removesuffix(b"\r")

    async def _chunk(self) -> bytes:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_reader(self._stdin, _wake, ready)
        except PermissionError:
            # epoll(7) refuses files and /dev/null, which never make one wait.
            return os.read(self._stdin, _CHUNK_OCTETS)
        try:
            await ready
        finally:
            loop.remove_reader(self._stdin)
        return os.read(self._stdin, _CHUNK_OCTETS)

    @contextmanager
    def _echo_off(self) -> Iterator[None]:
        before = termios.tcgetattr(self._stdin)
        silent = [*before]
        silent[3] &= ~termios.ECHO  # 3: local modes, termios(3)
        termios.tcsetattr(self._stdin, termios.TCSAFLUSH, silent)
        try:
            yield
        finally:
            termios.tcsetattr(self._stdin, termios.TCSADRAIN, before)

    # ---- showing

    def _prompt(self, prompt: str) -> None:
        end = " " if self.is_interactive else "\n"
        self._out.write(harmless(prompt) + end)
        self._out.flush()

    def _has_blocks(self) -> bool:
        try:
            _BLOCKS.encode(self._out.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        return True


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
