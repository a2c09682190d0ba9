"""A terminal asks and shows; what is hidden stays hidden. Real pipes and ptys."""

import asyncio
import io
import os
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from sabir.cli.terminal import LINE_OCTETS_MAX, Terminal
from sabir.errors import ConfigInvalid

CANARY = "canary-password-31c7"


class Pipe:
    """Standard input as a pipe."""

    def __init__(self) -> None:
        self.stdin, self._input = os.pipe()
        self.out = io.StringIO()
        self.terminal = Terminal(stdin=self.stdin, out=self.out)

    def type(self, text: str | bytes) -> None:
        os.write(self._input, text.encode() if isinstance(text, str) else text)

    def end(self) -> None:
        if self._input >= 0:
            os.close(self._input)
            self._input = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.end()
    os.close(pipe.stdin)


@pytest.fixture
def pty() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the person's side, the program's side."""
    person, program = os.openpty()
    yield person, program
    os.close(person)
    os.close(program)


async def test_lines_are_read_one_by_one_until_the_end(pipe: Pipe) -> None:
    pipe.type("first\r\nsecond\n\nlast")
    pipe.end()
    asked = [await pipe.terminal.ask(f"{n}:") for n in range(5)]
    assert asked == ["first", "second", "", "last", None]
    assert pipe.out.getvalue() == "0:\n1:\n2:\n3:\n4:\n"


async def test_a_hidden_answer_from_a_pipe_is_not_shown(pipe: Pipe) -> None:
    pipe.type(f"{CANARY}\n")
    assert not pipe.terminal.is_interactive
    assert await pipe.terminal.ask("Password:", hidden=True) == CANARY
    assert CANARY not in pipe.out.getvalue()


async def test_waiting_for_a_line_lets_others_work(pipe: Pipe) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(pipe.terminal.ask("?"))
        await asyncio.sleep(0)
        pipe.type("half ")
        await asyncio.sleep(0)
        assert not asked.done()
        pipe.type("whole\n")
    assert asked.result() == "half whole"


async def test_a_file_can_stand_for_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    path.write_text("a\nb\n")
    with path.open() as file:
        terminal = Terminal(stdin=file.fileno(), out=io.StringIO())
        assert [await terminal.ask("?") for _ in range(3)] == ["a", "b", None]


async def test_an_endless_line_is_refused() -> None:
    zero = os.open("/dev/zero", os.O_RDONLY)
    try:
        with pytest.raises(ConfigInvalid, match=f"longer than {LINE_OCTETS_MAX}"):
            await Terminal(stdin=zero, out=io.StringIO()).ask("?")
    finally:
        os.close(zero)


async def test_octets_that_are_no_text_are_refused(pipe: Pipe) -> None:
    pipe.type(b"\xff\n")
    with pytest.raises(ConfigInvalid, match="not UTF-8"):
        await pipe.terminal.ask("?")


def _echoes(descriptor: int) -> bool:
    return bool(termios.tcgetattr(descriptor)[3] & termios.ECHO)


class Watched(io.StringIO):
    """Notes whether the terminal echoed while it was written to."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.echoed: list[bool] = []
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        self.echoed.append(_echoes(self._descriptor))
        return super().write(text)


async def test_a_terminal_does_not_echo_what_is_hidden(pty: tuple[int, int]) -> None:
    person, program = pty
    out = Watched(program)
    terminal = Terminal(stdin=program, out=out)
    assert terminal.is_interactive
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(terminal.ask("Password:", hidden=True))
        await asyncio.sleep(0)
        os.write(person, f"{CANARY}\n".encode())
    assert asked.result() == CANARY
    assert out.echoed == [False, True]
    os.write(program, b"end")
    assert CANARY.encode() not in os.read(person, 4096)


async def test_a_visible_answer_is_echoed(pty: tuple[int, int]) -> None:
    person, program = pty
    terminal = Terminal(stdin=program, out=io.StringIO())
    os.write(person, b"@a:b.example\n")
    assert await terminal.ask("User:") == "@a:b.example"
    assert os.read(person, 4096) == b"@a:b.example\r\n"


async def test_a_cancelled_question_gives_the_echo_back(pty: tuple[int, int]) -> None:
    _, program = pty
    terminal = Terminal(stdin=program, out=io.StringIO())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await terminal.ask("Password:", hidden=True)
    assert _echoes(program)


async def test_end_of_transmission_is_the_end_of_input(pty: tuple[int, int]) -> None:
    person, program = pty
    os.write(person, b"\x04")
    assert await Terminal(stdin=program, out=io.StringIO()).ask("?") is None


def test_control_characters_are_shown_not_obeyed(pipe: Pipe) -> None:
    pipe.terminal.say("a\x1b[2Jb\rc\u202ed\ne")
    assert pipe.out.getvalue() == "a\\x1b[2Jb\\rc\\u202ed\ne\n"


def test_a_code_is_shown_as_blocks_with_its_text_below(pipe: Pipe) -> None:
    pipe.terminal.show_code("sgnl://linkdevice?uuid=1")
    *blocks, text = pipe.out.getvalue().splitlines()
    assert text == "sgnl://linkdevice?uuid=1"
    assert len(blocks) > 12
    assert set("".join(blocks)) == set(" █▀▄")


def test_a_code_that_fits_no_square_is_shown_as_text(pipe: Pipe) -> None:
    pipe.terminal.show_code("x" * 3000)
    assert pipe.out.getvalue() == f"(too long for a QR code)\n{'x' * 3000}\n"


def test_a_screen_without_blocks_gets_the_text() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Terminal(stdin=0, out=out).show_code("tok")
    assert isinstance(out.buffer, io.BytesIO)
    assert out.buffer.getvalue() == b"tok\n"


def test_the_process_talks_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Terminal.of_process().say("hello")
    assert capsys.readouterr() == ("", "hello\n")
