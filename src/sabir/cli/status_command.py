"""`sabir status`: accounts, links, what waits."""

import asyncio
import json
from dataclasses import asdict
from typing import Any

import click

from sabir.cli.composition import Installation
from sabir.cli.context import Invocation
from sabir.cli.control import NotRunning, ask
from sabir.cli.harmless import harmless, harmless_line
from sabir.cli.system import SystemClock


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(invocation: Invocation, *, as_json: bool) -> None:
    """Show accounts, links and what waits."""
    installation = invocation.installation()
    try:
        status = ask(installation.config.agent.control_socket, "GET", "/status")
    except NotRunning:
        status = asyncio.run(_from_storage(installation))
    if as_json:
        click.echo(json.dumps(status))
        return
    for line in lines(status, now=SystemClock().now()):
        click.echo(harmless(line))


async def _from_storage(installation: Installation) -> dict[str, Any]:
    """Return what the running agent would, as far as the database knows it."""
    storage = installation.open_storage()
    try:
        counts = {count.portal: count for count in await storage.counts()}
        stored = await storage.accounts()
        networks = {account.id: account.network for account in stored} | {
            name: section.network
            for name, section in installation.config.accounts.items()
        }
        return {
            "pid": None,
            "accounts": [
                {"id": name, "network": network, "status": None, "last_in": None}
                for name, network in sorted(networks.items())
            ],
            "rooms": [asdict(room) for room in await storage.rooms()],
            "portals": [
                {
                    **asdict(portal),
                    "counts": asdict(counts[portal.id])
                    if portal.id in counts
                    else None,
                }
                for portal in await storage.portals()
            ],
        }
    finally:
        storage.close()


_COUNTS = (
    "waiting_in",
    "waiting_out",
    "sent",
    "ambiguous",
    "refused",
    "withheld",
    "rejected_in",
)


def lines(status: dict[str, Any], *, now: int) -> list[str]:
    """Return the status as text."""
    pid = status["pid"]
    out = [f"Sabir is running (process {pid})" if pid else "Sabir is not running"]
    out.append("accounts" if status["accounts"] else "accounts  none yet")
    out += [_account_line(account, now) for account in status["accounts"]]
    if not status["portals"]:
        out.append("links     none yet: `sabir link ACCOUNT:CHAT ACCOUNT:CHAT`")
    for room in status["rooms"]:
        portals = [p for p in status["portals"] if p["room"] == room["id"]]
        if portals:
            out.append(
                f"room {harmless_line(room['name'] or room['id'])}"
                f"  ({room['last_seq']} entries)"
            )
            out += [_portal_line(portal) for portal in portals]
    return out


def _seconds(duration_ms: int) -> int:
    return max(0, duration_ms) // 1000  # the clock may have been put back


def _account_line(account: dict[str, Any], now: int) -> str:
    line = f"  {account['id']:<12} {account['network']:<8}"
    status = account["status"]
    if status is None:
        return line
    line += f" {status['state']:<20} for {_seconds(now - status['since'])} s"
    if account["last_in"]:
        line += f", last event {_seconds(now - account['last_in'])} s ago"
    return line + (f"\n      {status['detail']}" if status["detail"] else "")


def _portal_line(portal: dict[str, Any]) -> str:
    counts = portal["counts"] or {}
    notes = [
        f"{counts[name]} {name.replace('_', ' ')}"
        for name in _COUNTS
        if counts.get(name)
    ]
    chat = harmless_line(f"{portal['account']}:{portal['chat']}")
    line = f"  portal {portal['id']:<4} {chat}"
    if portal["state"] != "active":
        line += f"  {portal['state'].upper()}"
    if portal["detail"]:
        notes.append(harmless_line(portal["detail"]))
    return line + (f"\n      {', '.join(notes)}" if notes else "")
