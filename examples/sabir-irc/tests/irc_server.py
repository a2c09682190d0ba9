"""A small IRC server with the IRCv3 extensions that the connector needs.

Real sockets, one process, no persistence: enough of RFC 1459, message-tags,
server-time, echo-message, labeled-response, batch and draft/chathistory to be a
peer, and switches for the trouble a test wants.
"""

import asyncio
import datetime as dt
from dataclasses import dataclass, field
from itertools import count

from sabir_irc.line import Line, parse, write

OFFERED = frozenset(
    {
        "batch",
        "draft/chathistory",
        "echo-message",
        "labeled-response",
        "message-tags",
        "server-time",
    }
)


@dataclass
class Channel:
    members: dict[str, "Client"] = field(default_factory=dict)
    log: list[Line] = field(default_factory=list)
    slow: bool = False
    closed: bool = False


@dataclass(eq=False)
class Client:
    server: "IrcServer"
    writer: asyncio.StreamWriter
    nick: str = ""
    passwords: list[str] = field(default_factory=list)
    capable: bool = False

    def tell(self, line: Line, *, sender: str = "irc.example", **tags: str) -> None:
        all_tags = {**line.tags, **{n: v for n, v in tags.items() if v}}
        plain = write(Line(line.command, line.params, all_tags))
        start, space, rest = plain.partition(b" ") if all_tags else (b"", b"", plain)
        self.writer.write(start + space + f":{sender}!u@h ".encode() + rest)


class IrcServer:
    """Start it, connect, say things, cause trouble."""

    def __init__(
        self, *, offered: frozenset[str] = OFFERED, password: str = ""
    ) -> None:
        self.offered = offered
        self.password = password
        self.channels: dict[str, Channel] = {}
        self.dark = False
        self.lose_next_answer = False
        self.lose_next_line = False
        self.port = 0
        self._clients: list[Client] = []
        self._ids = count(1)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=32_768
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.drop_all()
            await self._server.wait_closed()

    def channel(self, name: str) -> Channel:
        return self.channels.setdefault(name.lower(), Channel())

    def drop_all(self) -> None:
        for client in self._clients:
            client.writer.close()

    def says(self, nick: str, channel: str, text: str, command: str = "PRIVMSG") -> str:
        line = self._stamp(Line(command, (channel, text), {}, nick))
        self._spread(self.channel(channel), line)
        return line.tags["msgid"]

    def redeliver(self, channel: str) -> None:
        there = self.channel(channel)
        for client in there.members.values():
            client.tell(there.log[-1], sender=there.log[-1].nick)

    def _stamp(self, line: Line) -> Line:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        tags = {n: v for n, v in line.tags.items() if n.startswith("+")}
        tags.update(msgid=f"id{next(self._ids)}", time=now)
        return Line(line.command, line.params, tags, line.nick)

    def _spread(self, there: Channel, line: Line, *, but: str = "") -> None:
        there.log.append(line)
        for nick, client in there.members.items():
            if nick != but:
                client.tell(line, sender=line.nick)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        client = Client(self, writer)
        self._clients.append(client)
        try:
            while not self.dark and (octets := await reader.readline()):
                if not self._heed(client, parse(octets.strip(b"\r\n"))):
                    break
        except ConnectionError:
            pass
        finally:
            writer.close()
            self._clients.remove(client)
            for channel in self.channels.values():
                if channel.members.get(client.nick) is client:
                    del channel.members[client.nick]

    def _heed(self, client: Client, line: Line) -> bool:
        """Obey one line; False ends the connection."""
        label = line.tags.get("label", "")
        match line.command:
            case "PASS":
                client.passwords.append(line.last)
            case "CAP":
                self._negotiate(client, line)
            case "NICK":
                client.nick = line.last
            case "USER":
                return self._welcome(client)
            case "JOIN":
                self._join(client, line, label)
            case "PART":
                self.channel(line.params[0]).members.pop(client.nick, None)
            case "CHATHISTORY":
                self._history(client, line, label)
            case "PRIVMSG" | "TOPIC":
                return self._message(client, line, label)
        return True

    def _negotiate(self, client: Client, line: Line) -> None:
        if line.params[0] == "REQ":
            client.capable = set(line.last.split()) <= self.offered
            verdict = "ACK" if client.capable else "NAK"
            client.tell(Line("CAP", ("*", verdict, line.last)))

    def _welcome(self, client: Client) -> bool:
        if self.password and self.password not in client.passwords:
            client.tell(Line("464", (client.nick, "Password incorrect")))
            return False
        for other in self._clients:
            if other is not client and other.nick == client.nick:
                client.tell(Line("433", ("*", client.nick, "Nickname in use")))
                return False
        client.tell(Line("PING", ("welcome",)))
        client.tell(Line("001", (client.nick, "Welcome")))
        return True

    def _join(self, client: Client, line: Line, label: str) -> None:
        name = line.params[0].lower()
        there = self.channels.get(name)
        if there is None or there.closed:
            reason = "Cannot join channel (+i)"
            client.tell(Line("473", (client.nick, name, reason)), label=label)
            return
        there.members[client.nick] = client
        ref = f"b{next(self._ids)}"
        client.tell(Line("BATCH", (f"+{ref}", "labeled-response")), label=label)
        client.tell(Line("JOIN", (name,)), sender=client.nick, batch=ref)
        client.tell(Line("366", (client.nick, name, "End")), batch=ref)
        client.tell(Line("BATCH", (f"-{ref}",)))

    def _history(self, client: Client, line: Line, label: str) -> None:
        which, name, point, limit = line.params
        log = self.channel(name).log
        if which == "LATEST":
            found = log[-int(limit) :]
        else:
            found = self._after(log, point)[: int(limit)]
        ref = f"b{next(self._ids)}"
        client.tell(Line("BATCH", (f"+{ref}", "chathistory", name)), label=label)
        for old in found:
            client.tell(old, sender=old.nick, batch=ref)
        client.tell(Line("BATCH", (f"-{ref}",)))

    def _after(self, log: list[Line], point: str) -> list[Line]:
        kind, _, value = point.partition("=")
        if kind == "timestamp":
            return [line for line in log if line.tags["time"] > value]
        ids = [line.tags["msgid"] for line in log]
        return log[ids.index(value) + 1 :]

    def _message(self, client: Client, line: Line, label: str) -> bool:
        name = line.params[0].lower()
        there = self.channels.get(name)
        if there is None or client.nick not in there.members:
            reason = "Cannot send to channel"
            client.tell(Line("404", (client.nick, name, reason)), label=label)
            return True
        if there.slow:
            return True
        if self.lose_next_line:
            self.lose_next_line = False
            return False
        stamped = self._stamp(Line(line.command, line.params, line.tags, client.nick))
        self._spread(there, stamped, but=client.nick)
        if self.lose_next_answer:
            self.lose_next_answer = False
            return False
        client.tell(stamped, sender=client.nick, label=label)
        return True
