"""`sabir log`: every message's way. Never its text."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import click

from sabir.cli.composition import Installation
from sabir.cli.context import Invocation
from sabir.cli.harmless import harmless, harmless_line
from sabir.cli.system import SystemClock
from sabir.content import loss_codec
from sabir.storage.records import LogLine, PortalId, PortalRecord, RoomId
from sabir.storage.sqlite.store import SqliteStorage

POLL_MS: Final = 200
"""How soon a followed log shows what is new."""
LINES_MAX: Final = 100_000
"""At once; some tens of megabytes."""
SEEN_MAX: Final = 10_000
"""Lines that a followed log remembers, to show each state of each once."""

Place = tuple[str, int, PortalId | None]


@click.command("log")
@click.option("-f", "--follow", is_flag=True, help="Go on as messages come.")
@click.option(
    "-n",
    "--lines",
    "count",
    type=click.IntRange(1, LINES_MAX),
    default=20,
    show_default=True,
    help="How many.",
)
@click.option("--room", metavar="URI", help="Only this room.")
@click.option("--trouble", is_flag=True, help="Only ambiguous, refused and withheld.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per line.")
@click.pass_obj
def command(
    invocation: Invocation,
    *,
    follow: bool,
    count: int,
    room: str | None,
    trouble: bool,
    as_json: bool,
) -> None:
    """Show each message's way: whence, whither, how long it took, what was lost."""
    installation = invocation.installation()
    shown = Shown(room=room, trouble=trouble, as_json=as_json)
    asyncio.run(shown.run(installation, count, follow=follow))


class Shown:
    """One reading of the log."""

    def __init__(self, *, room: str | None, trouble: bool, as_json: bool) -> None:
        self._room = None if room is None else RoomId(room)
        self._trouble = trouble
        self._as_json = as_json

    async def run(
        self, installation: Installation, count: int, *, follow: bool
    ) -> None:
        """Print the newest lines; with `follow`, every change from then on."""
        storage, clock = installation.open_storage(), SystemClock()
        try:
            seen: dict[Place, LogLine] = {}
            after = 0
            while True:
                lines = await storage.log(
                    after=after, count_max=count, room=self._room, trouble=self._trouble
                )
                await self._print(storage, lines, seen)
                if not follow:
                    return
                count = LINES_MAX
                newest = max([after, *(_moment(line) - 1 for line in lines)])
                # Not into the future: the clock may have been put back.
                after = min(newest, clock.now())
                await clock.sleep(POLL_MS)
        finally:
            storage.close()

    async def _print(
        self,
        storage: SqliteStorage,
        lines: Sequence[LogLine],
        seen: dict[Place, LogLine],
    ) -> None:
        portals = {p.id: p for p in await storage.portals(closed=True)}
        for line in lines:
            place = (line.room, line.seq, line.portal)
            if seen.get(place) == line:
                continue
            seen[place] = line
            if len(seen) > SEEN_MAX:
                del seen[next(iter(seen))]
            click.echo(
                json.dumps(to_json(line, portals))
                if self._as_json
                else harmless(to_text(line, portals))
            )


def _moment(line: LogLine) -> int:
    return line.settled_at or line.accepted_at


def _chat(portal: PortalId | None, portals: Mapping[PortalId, PortalRecord]) -> str:
    if portal is None or portal not in portals:
        return "-"
    record = portals[portal]
    return f"{record.account}:{record.chat}"


def phrases(line: LogLine) -> list[str]:
    """Say what was lost on the way."""
    return [] if line.loss is None else list(loss_codec.decode(line.loss).phrases())


def to_json(
    line: LogLine, portals: Mapping[PortalId, PortalRecord]
) -> dict[str, object]:
    """Return a line as a JSON object."""
    fields = asdict(line)
    fields["loss"] = phrases(line)
    fields["from"] = _chat(line.origin, portals)
    fields["to"] = _chat(line.portal, portals)
    fields["ms"] = (
        None if line.settled_at is None else line.settled_at - line.received_at
    )
    return fields


def to_text(line: LogLine, portals: Mapping[PortalId, PortalRecord]) -> str:
    """Return a line as text."""
    at = datetime.fromtimestamp(line.received_at / 1000, UTC)
    took = "" if line.settled_at is None else f"{line.settled_at - line.received_at} ms"
    text = (
        f"{at:%Y-%m-%d %H:%M:%S}.{line.received_at % 1000:03} #{line.seq:<6}"
        f" {line.kind:<8}"
        f" {harmless_line(_chat(line.origin, portals))}"
        f" -> {harmless_line(_chat(line.portal, portals))}"
        f"  {line.state:<9} {took}"
    )
    for note in (*phrases(line), *([line.detail] if line.detail else [])):
        text += f"\n      {harmless_line(note)}"
    return text
