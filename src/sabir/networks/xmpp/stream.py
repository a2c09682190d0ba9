"""One XML stream to a server, over slixmpp: raw stanzas in and out.

slixmpp opens the stream (TLS, SASL, handshake). From then on every stanza comes
here as a raw element, before the library builds anything from it: on a
component its own stanza classes misread errors and archives, and a room copies
everything to every ghost, so most stanzas must be dropped by their header.

 * Nothing is written that XML 1.0 forbids, nothing over `STANZA_OCTETS_MAX`.
 * A broken connection is a fact: `wait_lost` returns, `write` raises.
"""

import asyncio
import base64
import ipaddress
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from xml.etree.ElementTree import Element, SubElement, tostring

from slixmpp import ClientXMPP, ComponentXMPP
from slixmpp.stanza.stream_error import StreamError
from slixmpp.xmlstream.xmlstream import XMLStream

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, CredentialsRefused, Error, Unavailable
from sabir.networks.api import Rng
from sabir.networks.xmpp import names
from sabir.networks.xmpp.text import STANZA_OCTETS_MAX, xml_safe

CONNECT_TIMEOUT_S: Final = 30
"""For TCP, TLS and login together (our choice)."""
ANSWER_TIMEOUT_S: Final = 30
"""For an IQ; servers answer within seconds or not at all (our choice)."""
CLOSE_TIMEOUT_S: Final = 1
"""For the server's farewell; with it, `sabir up` still ends within 2 s (our choice)."""
_STANZAS: Final = ("message", "presence", "iq")
_PREFIX_OCTETS: Final = 10
_NOT_WELL_FORMED: Final = (
    b"<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    b"</stream:error></stream:stream>"
)

OnStanza = Callable[[Element], None]


class TooLarge(Exception):
    """A stanza is over the limit and was not written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentLogin:
    """How a component comes in (XEP-0114)."""

    domain: str
    host: str
    port: int
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLogin:
    """How a plain account comes in."""

    jid: str
    password: Secret
    host: str = ""
    port: int = 5222
    ca_file: str = ""
    plain: bool = False
    """Without TLS; only to a loopback address."""


class _Tap(XMLStream):
    """Takes raw stanzas off a slixmpp stream once its session has begun."""

    stream: "Stream"

    def _spawn_event(self, xml: Element) -> None:
        self.stream.arrived(xml)

    def negotiate(self, xml: Element) -> None:
        """Let the library handle what belongs to opening the stream."""
        super()._spawn_event(xml)

    def send(self, data: Any, use_filters: bool = True) -> None:
        """Write for the library; its one stream error says that it cannot parse."""
        if isinstance(data, StreamError):
            self.stream.malformed()
        else:
            super().send(data, use_filters)

    def exception(self, exception: BaseException) -> None:
        """Take an error out of the library's own handlers."""
        self.stream.lose(Unavailable(f"XMPP library: {type(exception).__name__}"))


class _Component(_Tap, ComponentXMPP):
    pass


class _Client(_Tap, ClientXMPP):
    pass


def _quiet() -> None:
    """Keep slixmpp from logging: it logs stanzas, so texts, even as errors."""
    logging.getLogger("slixmpp").setLevel(logging.CRITICAL + 1)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Stream:
    """A stream, opened once; make a new one to connect again."""

    def __init__(self, login: ComponentLogin | AccountLogin, *, rng: Rng) -> None:
        _quiet()
        self._login = login
        self._xmpp: Any = None
        self._on_stanza: OnStanza = _ignore
        self._session = False
        self._paused = False
        self._answers: dict[str, tuple[str, asyncio.Future[Element]]] = {}
        self._prefix = base64.b32encode(rng(_PREFIX_OCTETS)).decode().lower()
        self._count = 0
        self._opened: asyncio.Future[None] | None = None
        self._lost = asyncio.Event()
        self._failure: Error | None = None
        self._filters: asyncio.Task[None] | None = None

    # ---- opening and closing

    async def open(self, on_stanza: OnStanza) -> None:
        """Connect and log in; stanzas go to `on_stanza` from then on.

        Raises:
            Unavailable: no answer.
            CredentialsRefused: secret, password or certificate.
        """
        loop = asyncio.get_running_loop()
        self._on_stanza = on_stanza
        self._opened = loop.create_future()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                reached = await self._reach()
                try:
                    self._make_library_stream()
                except ConfigInvalid:
                    if reached is not None:
                        reached.abort()
                    raise
                await self._connect(reached)
                await self._opened
        except TimeoutError:
            await self.close()
            raise Unavailable(
                f"{self._where()} did not answer within {CONNECT_TIMEOUT_S} s: check "
                "that the host and port are right and the server runs"
            ) from None
        except BaseException:
            await self.close()
            raise

    async def _reach(self) -> asyncio.Transport | None:
        """Connect to a server whose address is given; None where it is looked up.

        Before the library's stream is made, which reads all certificates of the
        system: 30 ms for nothing, while others wait, if there is no server.
        """
        if not self._login.host:
            return None
        try:
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, self._login.host, self._login.port
            )
        except OSError as error:
            raise self._not_reached(error) from error
        return transport

    def _make_library_stream(self) -> None:
        # made here, because the library binds itself to the running loop
        xmpp = self._xmpp = _library_stream(self._login)
        xmpp.stream = self
        for event, handler in (
            ("session_start", self._begun),
            ("disconnected", self._disconnected),
            ("failed_all_auth", self._refused_login),
            ("ssl_invalid_chain", self._refused_certificate),
        ):
            xmpp.add_event_handler(event, handler)
        # the library's own queue carries its negotiation; ours bypasses it
        loop = asyncio.get_running_loop()
        self._filters = loop.create_task(xmpp.run_filters())

    async def _connect(self, reached: asyncio.Transport | None) -> None:
        xmpp, login = self._xmpp, self._login
        if isinstance(login, AccountLogin):
            xmpp.init_plugins()
        if reached is not None:
            reached.set_protocol(xmpp)
            xmpp.connection_made(reached)
            return
        addresses = [("", login.host, login.port)]
        if isinstance(login, AccountLogin):
            domain = names.bare(login.jid).rpartition("@")[2]
            found = await xmpp.get_dns_records(domain)
            addresses = [(str(r[0]), str(r[2]), int(r[3])) for r in found or ()]
            addresses = addresses or [("", domain, login.port)]
        failure: OSError | None = None
        for service, host, port in addresses:
            direct = service in xmpp.tls_services
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda: cast("asyncio.Protocol", xmpp),
                    host,
                    port,
                    ssl=xmpp.get_ssl_context() if direct else None,
                    server_hostname=xmpp.default_domain if direct else None,
                )
            except ssl.SSLError as error:
                raise self._bad_certificate(error) from error
            except OSError as error:
                failure = error
                continue
            return
        raise self._not_reached(failure) from failure

    def _not_reached(self, failure: OSError | None) -> Unavailable:
        why = "no address" if failure is None else failure.strerror or "no answer"
        return Unavailable(
            f"{self._where()} does not accept connections ({why}): start the server, "
            "or correct host and port"
        )

    def _where(self) -> str:
        login = self._login
        if isinstance(login, ComponentLogin):
            return f"the component port {login.host}:{login.port}"
        host = login.host or names.bare(login.jid).rpartition("@")[2]
        return f"the XMPP server {host}:{login.port}"

    def _begun(self, _event: object) -> None:
        self._session = True
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    def _refused_login(self, _event: object) -> None:
        self.lose(
            CredentialsRefused(
                f"{self._where()} does not accept this password: set the right one"
            )
        )

    def _refused_certificate(self, error: object) -> None:
        self.lose(self._bad_certificate(error))

    def _bad_certificate(self, error: object) -> CredentialsRefused:
        reason = getattr(error, "verify_message", "") or getattr(error, "reason", "")
        return CredentialsRefused(
            f"the certificate of {self._where()} cannot be trusted "
            f"({reason or 'TLS failed'}): have the server's certificate renewed, or "
            "name the file of its own authority in ca_file"
        )

    def _disconnected(self, reason: object) -> None:
        if isinstance(reason, ssl.SSLError) and not self._session:
            self._refused_certificate(reason)
        self.lose(Unavailable(f"{self._where()} closed the connection"))

    def lose(self, failure: Error) -> None:
        """Note that the stream is over, and why; the first reason stays."""
        if self._failure is None:
            self._failure = failure
        self._session = False
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(self._failure)
        for _, answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Unavailable(str(self._failure)))
        self._answers.clear()
        self._lost.set()
        if self._xmpp is not None and self._xmpp.transport is not None:
            self._xmpp.abort()

    def malformed(self) -> None:
        """End a stream whose next octets are no XML, and say so (RFC 6120, 4.9.3)."""
        if self._xmpp.transport is not None:
            self._xmpp.transport.write(_NOT_WELL_FORMED)
        self.lose(
            Unavailable(
                f"{self._where()} sent something that is no XML: check that an XMPP "
                "server is at this host and port; if it is, its log says why"
            )
        )

    async def wait_lost(self) -> Error:
        """Wait until the stream is over; return why."""
        await self._lost.wait()
        assert self._failure is not None
        return self._failure

    async def close(self) -> None:
        """End the stream. Safe to call twice."""
        if self._session and self._xmpp.transport is not None:
            self._xmpp.send_raw("</stream:stream>")
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._lost.wait()
            except TimeoutError:
                pass
        self.lose(Unavailable("the XMPP connection was closed"))
        if self._filters is not None:
            self._filters.cancel()
            await asyncio.gather(self._filters, return_exceptions=True)
            self._filters = None
        if self._opened is not None and self._opened.done():
            self._opened.exception()  # seen: it is in `_failure`
        # let the transport finish closing inside this loop
        await asyncio.sleep(0)

    @property
    def is_open(self) -> bool:
        """Tell whether stanzas can be written."""
        return self._session

    @property
    def own_jid(self) -> str:
        """Return the full JID the server bound, for a component its domain."""
        return str(self._xmpp.boundjid.full)

    # ---- in

    def arrived(self, xml: Element) -> None:
        """Take one complete child of the stream."""
        name = names.local(xml)
        if names.namespace(xml) == names.STREAMS and name == "error":
            self._stream_error(xml)
        elif not self._session or name not in _STANZAS:
            if name == "features" and self._lacks_tls(xml):
                return
            self._xmpp.negotiate(xml)
        elif name != "iq" or not self._answer(xml):
            self._on_stanza(xml)

    def _lacks_tls(self, features: Element) -> bool:
        login = self._login
        if not isinstance(login, AccountLogin) or login.plain:
            return False
        secured = self._xmpp.transport is not None and bool(
            self._xmpp.transport.get_extra_info("ssl_object")
        )
        offered = names.child(features, "starttls", "urn:ietf:params:xml:ns:xmpp-tls")
        if secured or offered is not None:
            return False
        self.lose(
            CredentialsRefused(
                f"{self._where()} offers no TLS, so the password is not sent: have "
                "TLS switched on there"
            )
        )
        return True

    def _stream_error(self, xml: Element) -> None:
        kinds = [names.local(e) for e in xml if names.local(e) != "text"]
        kind = kinds[0] if kinds else "unknown"
        component = isinstance(self._login, ComponentLogin)
        if (
            component
            and not self._session
            and kind in ("not-authorized", "host-unknown")
        ):
            self.lose(
                CredentialsRefused(
                    f"{self._where()} refuses the component ({kind}): make secret and "
                    "domain the same as in the server's configuration"
                )
            )
        else:
            self.lose(Unavailable(f"{self._where()} ended the stream: {kind}"))

    def _answer(self, iq: Element) -> bool:
        if iq.get("type") not in ("result", "error"):
            return False
        asked = self._answers.get(iq.get("id", ""))
        if asked is None:
            return True
        to, answer = asked
        # an answer from somebody else is a forgery; for our own server there are
        # several names, and none
        sender = iq.get("from", "")
        own = ("", names.bare(self.own_jid), self.own_jid)
        if sender not in ((to,) if to not in own else (to, *own)):
            return True
        del self._answers[iq.get("id", "")]
        if not answer.done():
            answer.set_result(iq)
        return True

    def pause(self, *, paused: bool) -> None:
        """Stop reading from the socket, or go on (back-pressure)."""
        transport = self._xmpp.transport if self._xmpp is not None else None
        if transport is None or paused == self._paused:
            return
        self._paused = paused
        if paused:
            transport.pause_reading()
        else:
            transport.resume_reading()

    # ---- out

    def new_id(self) -> str:
        """Return an id that nobody can guess and we never use again."""
        self._count += 1
        return f"sabir-{self._prefix}-{self._count}"

    def write(self, stanza: Element) -> None:
        """Write one stanza.

        Raises:
            Unavailable: the stream is over.
            TooLarge: it is over `STANZA_OCTETS_MAX`; the stream goes on.
        """
        octets = xml_safe(tostring(stanza, "unicode")).encode()
        if len(octets) > STANZA_OCTETS_MAX:
            raise TooLarge(f"{len(octets)} octets")
        if not self._session or self._xmpp.transport is None:
            raise self._failure or Unavailable("the XMPP connection is not open")
        self._xmpp.transport.write(octets)

    async def ask(self, iq: Element, *, timeout_s: float = ANSWER_TIMEOUT_S) -> Element:
        """Write an IQ and return its answer, result or error.

        Raises:
            Unavailable: no answer.
        """
        ident = self.new_id()
        iq.set("id", ident)
        answer: asyncio.Future[Element] = asyncio.get_running_loop().create_future()
        self._answers[ident] = (iq.get("to", ""), answer)
        try:
            self.write(iq)
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            who = iq.get("to") or "the server"
            raise Unavailable(f"{who} did not answer within {timeout_s:g} s") from None
        finally:
            self._answers.pop(ident, None)

    async def ping(
        self, *, sender: str, to: str, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> Element:
        """Ping somebody (XEP-0199) and return the answer, result or error."""
        iq = new_iq("get", to=to, sender=sender)
        SubElement(iq, "ping", {"xmlns": names.PING})
        return await self.ask(iq, timeout_s=timeout_s)


def new_iq(kind: str, *, to: str, sender: str = "") -> Element:
    """Return an empty IQ of type `get`, `set`, `result` or `error`."""
    iq = Element("iq", {"type": kind})
    if to:
        iq.set("to", to)
    if sender:
        iq.set("from", sender)
    return iq


def _ignore(_stanza: Element) -> None:
    """Take a stanza that nobody waits for."""


def _library_stream(login: ComponentLogin | AccountLogin) -> Any:
    """Make slixmpp's side of the stream, without connecting."""
    if isinstance(login, ComponentLogin):
        make: Any = _Component  # the library does not annotate its constructor
        return make(login.domain, login.secret.reveal_text(), login.host, login.port)
    if login.plain and not is_loopback(login.host):
        raise ConfigInvalid(
            'tls = "loopback-plain" needs host = "127.0.0.1" or "::1": everything '
            'else needs tls = "required"'
        )
    # over loopback nobody else listens, so the library may log in without TLS
    bare_login = {"unencrypted_plain": login.plain, "unencrypted_scram": login.plain}
    client = _Client(
        login.jid,
        login.password.reveal_text(),
        plugin_config={"feature_mechanisms": bare_login},
    )
    client.enable_starttls = not login.plain
    client.enable_plaintext = login.plain
    if login.ca_file:
        path = Path(login.ca_file)
        if not path.is_file():
            raise ConfigInvalid(f"ca_file = {login.ca_file!r} is not a file")
        client.ca_certs = path
    return client
