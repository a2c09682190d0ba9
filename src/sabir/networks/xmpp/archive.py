"""Reading an archive (XEP-0313) page by page, by hand.

slixmpp's own reader finds nothing on a component and stops early on ejabberd;
here the results are collected by `queryid` from the raw stanzas.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from sabir.clock import Instant
from sabir.errors import Unavailable
from sabir.networks.xmpp import names
from sabir.networks.xmpp.stream import Stream, new_iq

PAGE_MESSAGES: Final = 100
PAGES_MAX: Final = 10_000
"""A million messages; an archive that pages for ever is broken."""
PAGE_TIMEOUT_S: Final = 60


class CursorUnknown(Exception):
    """The archive does not know the id we want to go on from (expired, say)."""


class NoArchive(Exception):
    """There is no archive, or it is closed to us; the text says why."""


@dataclass(frozen=True, slots=True)
class Archived:
    """One message out of an archive."""

    id: str
    at: Instant
    stanza: Element


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages, oldest first."""

    messages: tuple[Archived, ...]
    complete: bool


class Archive:
    """The archive of one room, or of our own account."""

    def __init__(self, stream: Stream, *, owner: str, reader: str) -> None:
        self._stream = stream
        self._owner = owner
        self._reader = reader
        self._found: dict[str, list[Archived]] = {}

    def collect(self, message: Element) -> bool:
        """Keep a result of a query of ours; False if it is something else."""
        result = names.child(message, "result", names.MAM)
        if result is None:
            return False
        sender = message.get("from", self._owner)
        found = self._found.get(result.get("queryid", ""))
        if found is not None and sender == self._owner:
            one = _archived(result)
            if one is not None:
                found.append(one)
        return True

    async def newest(self) -> Archived | None:
        """Return the newest message, None if the archive is empty."""
        page = await self._query(1, before="")
        return page.messages[-1] if page.messages else None

    async def after(
        self, cursor: str | None, *, start: Instant | None = None
    ) -> AsyncIterator[Page]:
        """Yield everything after an id (or a time), oldest first.

        Raises:
            CursorUnknown, NoArchive, Unavailable.
        """
        last = cursor
        for _ in range(PAGES_MAX):
            page = await self._query(PAGE_MESSAGES, after=last, start=start)
            yield page
            if page.complete or not page.messages:
                return
            last = page.messages[-1].id

    async def backwards(self, *, until: Instant) -> AsyncIterator[Page]:
        """Yield pages from the newest back, until one is older than `until`.

        Raises:
            CursorUnknown, NoArchive, Unavailable.
        """
        before = ""
        for _ in range(PAGES_MAX):
            page = await self._query(PAGE_MESSAGES, before=before)
            yield page
            if page.complete or not page.messages or page.messages[0].at < until:
                return
            before = page.messages[0].id

    async def _query(
        self,
        count: int,
        *,
        after: str | None = None,
        before: str | None = None,
        start: Instant | None = None,
    ) -> Page:
        queryid = self._stream.new_id()
        iq = new_iq("set", to=self._owner, sender=self._reader)
        query = SubElement(iq, "query", {"xmlns": names.MAM, "queryid": queryid})
        if start is not None:
            _put_start(query, start)
        wanted = SubElement(query, "set", {"xmlns": names.RSM})
        SubElement(wanted, "max").text = str(count)
        if after:
            SubElement(wanted, "after").text = after
        if before is not None:
            SubElement(wanted, "before").text = before
        found = self._found[queryid] = []
        try:
            answer = await self._stream.ask(iq, timeout_s=PAGE_TIMEOUT_S)
        finally:
            del self._found[queryid]
        _check(answer, self._owner)
        fin = names.child(answer, "fin", names.MAM)
        complete = fin is None or fin.get("complete") in ("true", "1")
        return Page(tuple(found), complete)


def _put_start(query: Element, start: Instant) -> None:
    form = SubElement(query, "x", {"xmlns": names.FORM, "type": "submit"})
    stamp = datetime.fromtimestamp(start / 1000, tz=UTC)
    fields = (
        ("FORM_TYPE", names.MAM),
        ("start", stamp.strftime("%Y-%m-%dT%H:%M:%SZ")),
    )
    for name, value in fields:
        field = SubElement(form, "field", {"var": name})
        if name == "FORM_TYPE":
            field.set("type", "hidden")
        SubElement(field, "value").text = value


def _check(answer: Element, owner: str) -> None:
    condition = names.condition(answer)
    if not condition:
        return
    if condition == "item-not-found":
        raise CursorUnknown(owner)
    if condition in ("remote-server-not-found", "remote-server-timeout"):
        raise Unavailable(f"the archive of {owner} does not answer ({condition})")
    raise NoArchive(f"{owner} answers {condition}")


def _archived(result: Element) -> Archived | None:
    forwarded = names.child(result, "forwarded", names.FORWARD)
    ident = result.get("id", "")
    if forwarded is None or not ident:
        return None
    for element in forwarded:
        if names.local(element) == "message":
            return Archived(ident, _stamp(forwarded), element)
    return None


def _stamp(forwarded: Element) -> Instant:
    delay = names.child(forwarded, "delay", names.DELAY)
    try:
        stamp = datetime.fromisoformat(
            delay.get("stamp", "") if delay is not None else ""
        )
    except ValueError:
        return Instant(0)
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    return Instant(int(stamp.timestamp() * 1000))
