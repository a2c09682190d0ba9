"""A visit to a provider: who we are there, and how we ask."""

import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import SUITE
from sabir.mimi.directory import DIRECTORY_PATH, Directory, Endpoint
from sabir.mimi.uris import device_uri, new_segment, room_uri, user_of, user_uri
from sabir.mls.client import Identity
from sabir.mls.credentials import BasicCredential
from sabir.mls.env import Env
from sabir.testing.mimi.conformance.finding import NotRun
from sabir.testing.mimi.conformance.line import Line, Reply, host_and_path

PROFILE: Final = "mimi06-a"
SEGMENT_OCTETS: Final = 16
PATIENCE_MAX: Final = 5
"""How often we come again after a 429."""
WAIT_MAX_S: Final = 30.0
"""The longest that we wait when a provider asks for it."""
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A certificate to show.

    Attributes:
        domain: whose.
        tls: makes a client's context with it.
    """

    domain: str
    tls: Callable[[], ssl.SSLContext]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a visit may do.

    Attributes:
        domain: of the provider.
        card: our certificate; the provider must let us in.
        nobody: makes a context without a certificate.
        stranger: a certificate of a domain that the provider does not admit.
        address: where to connect whatever the DNS says.
        known_user: a user there who has not consented to anything of ours.
        known_room: a room there that we are not in.
        flood: requests to send at once for MC-013; 0: none.
        fuzz: broken bodies to send for MC-015.
    """

    domain: str
    card: Card
    nobody: Callable[[], ssl.SSLContext]
    stranger: Card | None = None
    address: tuple[str, int] | None = None
    known_user: str = ""
    known_room: str = ""
    flood: int = 0
    fuzz: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """A user of ours, whom nobody there can know."""

    device: str
    user: str
    identity: Identity

    @classmethod
    def new(cls, env: Env, domain: str) -> "Me":
        """Make one with fresh keys."""
        name = new_segment(env.random, SEGMENT_OCTETS)
        device = device_uri(domain, name, "conformance")
        credential = BasicCredential(device.encode("ascii"))
        identity = Identity.generate(env, SUITES[SUITE], credential)
        return cls(device=device, user=user_of(device), identity=identity)


@dataclass(kw_only=True)
class Visit:
    """A visit under way.

    Attributes:
        plan: what it may do.
        env: time and randomness.
        sleep: waits so many seconds.
        me: a user of ours.
        found: the provider's directory, once it was read.
        replies: all answers so far.
        named: identifiers that we have named, which no error may repeat.
    """

    plan: Plan
    env: Env
    sleep: Callable[[float], Awaitable[None]]
    me: Me = field(init=False)
    found: Directory | None = None
    replies: list[Reply] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    _lines: dict[tuple[str, str, int], Line] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make a user of ours."""
        self.me = Me.new(self.env, self.ours)
        self.named.add(self.me.user)

    @property
    def ours(self) -> str:
        """Return our own domain."""
        return self.plan.card.domain

    @property
    def theirs(self) -> str:
        """Return the provider's domain."""
        return self.plan.domain

    @property
    def directory(self) -> Directory:
        """Return the provider's directory.

        Raises:
            NotRun: there is none.
        """
        if self.found is None:
            raise NotRun("there is no directory")
        return self.found

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            line.close()

    # ---- names

    def nobody_there(self) -> str:
        """Return a user of theirs who does not exist."""
        return self._note(user_uri(self.theirs, self._segment()))

    def no_room(self, domain: str = "") -> str:
        """Return a room that does not exist, by default one of theirs."""
        return self._note(room_uri(domain or self.theirs, self._segment()))

    def _segment(self) -> str:
        return new_segment(self.env.random, SEGMENT_OCTETS)

    def _note(self, name: str) -> str:
        self.named.add(name)
        return name

    # ---- requests

    async def get_directory(self) -> Reply:
        """Ask for the directory."""
        return await self.ask("GET", f"https://{self.theirs}{DIRECTORY_PATH}")

    def url(self, endpoint: Endpoint, value: str, written: str | None = None) -> str:
        """Return the URL of an endpoint.

        Args:
            endpoint: which.
            value: of its variable.
            written: the value as it stands in the path, if not as it should.

        Raises:
            NotRun: the provider does not offer it.
        """
        template = self.directory.templates.get(endpoint)
        if template is None:
            raise NotRun(f"{endpoint.value} is not in the directory")
        text = quote(value, safe="") if written is None else written
        head, brace, tail = template.partition("{")
        return head if not brace else head + text + tail.partition("}")[2]

    async def post(
        self,
        endpoint: Endpoint,
        value: str,
        body: bytes,
        *fields: str,
        card: Card | None = None,
        from_: Iterable[str] | None = None,
        written: str | None = None,
    ) -> Reply:
        """Make a request of the protocol.

        Args:
            endpoint: which.
            value: of its variable.
            body: of the request.
            fields: whole, besides the usual ones.
            card: what to show, by default our own.
            from_: all fields `From`, by default the right one.
            written: see `url`.
        """
        url = self.url(endpoint, value, written)
        return await self.ask("POST", url, *fields, body=body, card=card, from_=from_)

    async def ask(
        self,
        method: str,
        url: str,
        *fields: str,
        body: bytes | None = None,
        card: Card | None = None,
        from_: Iterable[str] | None = None,
        host: str = "",
        announced: int | None = None,
    ) -> Reply:
        """Make any request; come again where the provider asks for it.

        Args:
            method: HTTP.
            url: decides connection, Host and path.
            fields: whole, besides the usual ones.
            body: None: none.
            card: what to show, by default our own.
            from_: all fields `From`, by default the right one.
            host: the field Host, by default that of the URL.
            announced: Content-Length, by default the right one.

        Raises:
            Broken: no answer.
        """
        line = self.line(url, card)
        octets = self.written(
            method,
            url,
            *fields,
            body=body,
            from_=from_,
            host=host,
            announced=announced,
        )
        if announced is not None:
            line.close()  # what is announced never comes: the connection is spent
        reply = await self._once(line, octets)
        for _ in range(PATIENCE_MAX):
            if reply.status != _TOO_MANY:
                break
            wait = reply.fields.get("retry-after", "1")
            await self.sleep(min(float(wait) if wait.isdigit() else 1.0, WAIT_MAX_S))
            reply = await self._once(line, octets)
        if announced is not None:
            line.close()
        return reply

    async def _once(self, line: Line, octets: bytes) -> Reply:
        reply = await line.ask(octets)
        self.replies.append(reply)
        return reply

    def line(self, url: str, card: Card | None = None) -> Line:
        """Return the connection for a URL."""
        shown = card or self.plan.card
        host, port, _ = host_and_path(url)
        key = shown.domain, host, port
        if key not in self._lines:
            self._lines[key] = self.new_line(url, shown)
        return self._lines[key]

    def new_line(self, url: str, card: Card) -> Line:
        """Return a connection for a URL that nobody else uses."""
        host, port, _ = host_and_path(url)
        return Line(host, self.plan.address or (host, port), card.tls())

    def written(
        self,
        method: str,
        url: str,
        *fields: str,
        body: bytes | None = None,
        from_: Iterable[str] | None = None,
        host: str = "",
        announced: int | None = None,
    ) -> bytes:
        """Return a request's octets; arguments as those of `ask`."""
        name, port, path = host_and_path(url)
        usual = name if port == 443 else f"{name}:{port}"
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or usual}"]
        senders = [f"mimi@{self.ours}"] if from_ is None else from_
        lines += [f"From: {sender}" for sender in senders]
        lines += fields
        if body is not None or announced is not None:
            length = len(body or b"") if announced is None else announced
            lines.append("Content-Type: application/octet-stream")
            lines.append(f"Content-Length: {length}")
        return "\r\n".join([*lines, "", ""]).encode("utf-8") + (body or b"")
