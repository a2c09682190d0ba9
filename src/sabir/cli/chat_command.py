"""`sabir chat`: talk in an encrypted room from the terminal."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from sabir.cli.context import Invocation
from sabir.cli.control import ask_async
from sabir.cli.harmless import harmless, harmless_line
from sabir.cli.room_command import shown_lines
from sabir.cli.room_names import room_named
from sabir.cli.system import system_rng
from sabir.cli.terminal import Terminal
from sabir.cli.times import clock_time
from sabir.errors import ConfigInvalid, Error, Unavailable

SHOWN_FIRST: Final = 20
"""Messages of the past that a chat begins with."""
WAIT_S: Final = 25
"""How long one look for new messages lasts."""
KEY_OCTETS: Final = 16
"""Of what names a message, so that none is sent twice."""
QUIT: Final = "/quit"
PAUSE_S: Final = 1.0
"""After a failed look."""
HELP: Final = """\
/reply N TEXT   answer message N          /edit N TEXT   change our message N
/react N EMOJI  react to message N        /delete N      take our message N back
/file PATH      send a file               /save N PATH   store the file of message N
/who            who is in the room        /quit          leave the chat, not the room
A line that begins with // is sent as one that begins with /."""


@click.command("chat")
@click.argument("room")
@click.option(
    "--say", metavar="TEXT", help="Send this one message and end, for scripts."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object per message.")
@click.option("--lines", default=SHOWN_FIRST, show_default=True, help="Of the past.")
@click.option("--no-follow", is_flag=True, help="Show the past and end.")
@click.pass_obj
def command(
    invocation: Invocation,
    room: str,
    say: str | None,
    lines: int,
    *,
    as_json: bool,
    no_follow: bool,
) -> None:
    """Talk in ROOM (a name or a URI): a line is a message, /help lists the rest."""
    uri = room_named(invocation, room)
    control = invocation.installation().config.agent.control_socket
    chat = Chat(control, uri, as_json=as_json)
    if say is not None:
        done = asyncio.run(chat.say(say))
        click.echo(json.dumps(done) if as_json else f"#{done['seq']}")
        return
    asyncio.run(chat.run(lines, follow=not no_follow))


class Chat:
    """One conversation at one terminal.

    Args:
        control: socket of the running agent.
        room: URI.
        as_json: print rows as JSON.
    """

    def __init__(self, control: Path, room: str, *, as_json: bool) -> None:
        self._control = control
        self._room = room
        self._as_json = as_json
        self._seen = 0
        self._is_in = True
        self._commands: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "/reply": self._reply,
            "/edit": self._edit,
            "/react": self._react,
            "/delete": self._delete,
            "/file": self._file,
            "/save": self._save,
            "/who": self._who,
            "/help": self._help,
        }

    async def say(self, text: str, about: int = 0) -> Any:
        """Send a message; returns when it has its place in the room.

        Raises:
            Refusal: the room does not take it.
            Unavailable: no answer yet; it is sent as soon as there is.
        """
        return await self._post("say", text=text, about=about)

    async def run(self, lines: int, *, follow: bool) -> None:
        """Show the past; then what comes, while a person types."""
        self._seen = await self._start(lines)
        await self._show_new(wait_s=0)
        if not follow:
            return
        terminal = Terminal.of_process()
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(self._follow())
            await self._listen(terminal)
            showing.cancel()

    async def _listen(self, terminal: Terminal) -> None:
        """Take lines until the person goes."""
        while (line := await self._line(terminal)) is not None:
            if line.strip() == QUIT:
                return
            await self._obey(line, terminal)

    async def _line(self, terminal: Terminal) -> str | None:
        return await terminal.ask(">" if terminal.is_interactive else "")

    async def _obey(self, line: str, terminal: Terminal) -> None:
        word, _, rest = line.strip().partition(" ")
        if not word:
            return
        try:
            if word.startswith("//"):
                await self.say(line.strip()[1:])
            elif word.startswith("/"):
                await self._command(word)(rest)
            else:
                await self.say(line)
        except Error as error:
            terminal.say(f"! {error}")

    def _command(self, word: str) -> Callable[[str], Awaitable[None]]:
        found = self._commands.get(word)
        if found is None:
            raise ConfigInvalid(f"there is no {word}; /help lists what there is")
        return found

    # ---- commands

    async def _reply(self, rest: str) -> None:
        number, text = _numbered(rest)
        await self.say(text, number)

    async def _edit(self, rest: str) -> None:
        number, text = _numbered(rest)
        await self._post("edit", text=text, about=number)

    async def _react(self, rest: str) -> None:
        number, text = _numbered(rest)
        await self._post("react", text=text, about=number)

    async def _delete(self, rest: str) -> None:
        number, _ = _numbered(rest + " .")
        await self._post("delete", about=number)

    async def _file(self, rest: str) -> None:
        body = {"room": self._room, "path": _absolute(rest)}
        await self._ask("POST", "/rooms/file", body)

    async def _save(self, rest: str) -> None:
        number, path = _numbered(rest)
        body = {"room": self._room, "about": number, "path": _absolute(path)}
        done = await self._ask("POST", "/rooms/save", body)
        click.echo(f"{done['octets']} octets, verified, in {harmless_line(path)}")

    async def _who(self, _rest: str) -> None:
        shown = await self._ask("GET", f"/rooms/shown?room={self._quoted}")
        click.echo(harmless("\n".join(shown_lines(shown))))

    async def _help(self, _rest: str) -> None:
        click.echo(HELP)

    # ---- what comes

    async def _start(self, lines: int) -> int:
        """Return the number behind which to begin."""
        for row in await self._ask("GET", "/rooms"):
            if row["room"] == self._room:
                self._is_in = row["state"] not in {"left", "closed"}
                return max(int(row["first"]) - 1, int(row["last"]) - lines)
        raise ConfigInvalid(f"we know no room {self._room}; see `sabir room list`")

    async def _follow(self) -> None:
        while True:
            try:
                await self._show_new(wait_s=WAIT_S)
            except Unavailable as error:
                click.echo(f"! {error}", err=True)
                await asyncio.sleep(PAUSE_S)

    async def _show_new(self, *, wait_s: int) -> None:
        path = f"/rooms/timeline?room={self._quoted}&after={self._seen}&wait={wait_s}"
        rows = await self._ask("GET", path)
        for row in rows:
            click.echo(json.dumps(row) if self._as_json else row_text(row))
        if rows:
            self._seen = rows[-1]["seq"]
            if self._is_in:
                body = {"room": self._room, "until": self._seen}
                await self._ask("POST", "/rooms/read", body)

    # ---- the agent

    @property
    def _quoted(self) -> str:
        return quote(self._room, safe="")

    async def _post(self, what: str, *, text: str = "", about: int = 0) -> Any:
        body = {
            "room": self._room,
            "text": text,
            "about": about,
            "key": system_rng(KEY_OCTETS).hex(),
        }
        return await self._ask("POST", f"/rooms/{what}", body)

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return await ask_async(self._control, method, path, body)


def _absolute(text: str) -> str:
    """Return the path that the agent is to use: it runs in another directory.

    Raises:
        ConfigInvalid: none was said.
    """
    if not text.strip():
        raise ConfigInvalid("say which file, as in /file cake.png")
    return str(Path(text.strip()).expanduser().absolute())


def _numbered(rest: str) -> tuple[int, str]:
    """Split "12 some words".

    Raises:
        ConfigInvalid: it has another form.
    """
    number, _, text = rest.strip().partition(" ")
    number = number.removeprefix("#")
    digits = number.removeprefix("-")  # what was said before this device came
    if not (digits.isascii() and digits.isdigit() and text.strip()):
        raise ConfigInvalid("say the number of the message first, as in /reply 12 yes")
    return int(number), text.strip()


def author_line(row: Mapping[str, Any]) -> str:
    """Name the author, and who vouches: a network, or the sender's provider."""
    if row["via"] is not None:
        return f"{row['name']} ({row['via']['network']})"
    provider = row["author"].removeprefix("mimi://").partition("/")[0]
    name = str(row["name"])
    return f"{name}@{provider}" if provider and "@" not in name else name


def row_text(row: Mapping[str, Any]) -> str:
    """Say a row of the timeline in a line or more."""
    about = f" (to #{row['about']})" if row["about"] else ""
    head = f"{clock_time(row['at'])} #{row['seq']:<4} {author_line(row)}"
    match row["kind"]:
        case "said":
            text = f"{about} {row['text']}"
        case "edited":
            text = f" changes #{row['about']}: {row['text']}"
        case "deleted":
            text = f" takes back #{row['about']}"
        case "reacted":
            text = f" {row['text']} on #{row['about']}"
        case _:
            return harmless_line(
                f"{clock_time(row['at'])} #{row['seq']:<4} * {row['text']}"
            )
    files = "".join(f" [{name}]" for name in row["files"])
    doubt = (
        " (!) another room's or hub's mark"
        if row["verdict"] == "not-accountable"
        else ""
    )
    return harmless(f"{head}:{text}{files}{doubt}")
