"""`sabir room`: encrypted rooms at a provider, and who is in them."""

import json
from typing import Any
from urllib.parse import quote

import click

from sabir.cli.context import Invocation
from sabir.cli.fingerprints import in_fours
from sabir.cli.harmless import harmless, harmless_line
from sabir.cli.room_names import ask_home, room_named
from sabir.cli.times import ago
from sabir.mimi.template_names import TemplateName

TEMPLATES = [each.value for each in TemplateName]


@click.group("room")
def command() -> None:
    """Make and run encrypted rooms; ROOM is a name or a URI."""


@command.command("create")
@click.argument("name", default="")
@click.option(
    "--kind",
    type=click.Choice(TEMPLATES),
    default="group",
    show_default=True,
    help="Who may do what, see the manual.",
)
@click.option("--with", "others", multiple=True, metavar="USER", help="Let them in.")
@click.pass_obj
def create(
    invocation: Invocation, name: str, kind: str, others: tuple[str, ...]
) -> None:
    """Make a room at our provider."""
    direct = kind == TemplateName.DM
    body = {"name": name, "template": kind, "others": others if direct else ()}
    room = ask_home(invocation, "POST", "/rooms", body)["room"]
    click.echo(room)
    for user in () if direct else others:
        _invite(invocation, room, user, None)


@command.command("list")
@click.option("--all", "every", is_flag=True, help="Also rooms that we were in.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(invocation: Invocation, *, every: bool, as_json: bool) -> None:
    """List our rooms."""
    rows = [
        row
        for row in ask_home(invocation, "GET", "/rooms")
        if every or row["state"] not in {"left", "closed"}
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        line = f"{row['state']:<9} {row['room']}  {row['name']}  {row['detail']}"
        click.echo(harmless_line(line.rstrip()))
    if not rows:
        click.echo("none yet: `sabir room create NAME`", err=True)


@command.command("show")
@click.argument("room")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(invocation: Invocation, room: str, *, as_json: bool) -> None:
    """Show who is in a room, as what, and who can read it."""
    uri = room_named(invocation, room)
    shown = ask_home(invocation, "GET", f"/rooms/shown?room={quote(uri, safe='')}")
    if as_json:
        click.echo(json.dumps(shown))
        return
    click.echo(harmless("\n".join(shown_lines(shown))))


def shown_lines(shown: dict[str, Any]) -> list[str]:
    """Say how a room is."""
    lines = [f"{shown['name'] or '(no name)'}  {shown['room']}"]
    lines += [participant_line(each) for each in shown["participants"]]
    lines.append(
        "Readable by: the devices of these people. Their providers see the room's name,"
        " who is in it and who talks when, and nothing that is said."
    )
    lines += [
        f"Also readable by: {network}, its servers and the chat that is linked there,"
        f" through the Sabir of {handle(gateway)}."
        for network, gateway in sorted(ways_out(shown))
    ]
    grouped = in_fours(shown["fingerprint"])
    lines.append(
        f"Epoch {shown['epoch']} has the fingerprint {grouped}. Who has another one for"
        " it was shown another room by the hub."
    )
    if shown["waiting"]:
        lines.append(f"{shown['waiting']} message(s) wait for the hub.")
    if shown["frozen_by"]:
        lines.append(
            "NOTHING IS SENT: devices that nobody let in are in the group:"
            f" {', '.join(shown['frozen_by'])}. Ask the room's people about them; then"
            " `sabir room trust` goes on, or leave."
        )
    if shown["notices"]:
        lines.append("Noticed here, the latest last:")
    lines += [
        f"  {ago(each['at'])}  {each['kind']}: {each['detail']}"
        for each in shown["notices"]
    ]
    return lines


def participant_line(each: dict[str, Any]) -> str:
    """Say who somebody is in a room."""
    head = f"  {each['role_name']:<14} {each['name']:<16}"
    ghost = each["ghost"]
    if ghost is None:
        devices = len(each["clients"])
        reads = f"{devices} device(s)" if devices else "no device: reads nothing"
        return f"{head} {reads}  {each['user']}"
    native = ghost["native"] or "a long id"
    lost = "" if ghost["is_connected"] else "; who is not here: nothing reaches them"
    word = f"by the word of {handle(ghost['gateway'])}{lost}"
    return f"{head} on {ghost['network']} as {native}, {word}"


def ways_out(shown: dict[str, Any]) -> set[tuple[str, str]]:
    """Return networks that what is said reaches, each with who takes it there."""
    ghosts = (each["ghost"] for each in shown["participants"])
    return {
        (ghost["network"], ghost["gateway"])
        for ghost in ghosts
        if ghost is not None and ghost["is_connected"]
    }


def handle(user: str) -> str:
    """Write a user's URI as people say it: ada@a.example."""
    domain, _, name = user.removeprefix("mimi://").partition("/u/")
    return f"{name}@{domain}"


@command.command("invite")
@click.argument("room")
@click.argument("user")
@click.option("--role", help="Name or number [default: the lowest that we may give].")
@click.pass_obj
def invite(invocation: Invocation, room: str, user: str, role: str | None) -> None:
    """Let USER (ada@a.example, or a URI) into a room, once they agree."""
    _invite(invocation, room_named(invocation, room), user, role)


def _invite(invocation: Invocation, room: str, user: str, role: str | None) -> None:
    body = {"room": room, "user": user, "role": role}
    done = ask_home(invocation, "POST", "/rooms/invite", body)
    if done["outcome"] == "asked":
        click.echo(f"{done['user']} was asked, and comes in when they agree")
        return
    click.echo(f"{done['user']} is in, with {len(done['clients'])} device(s)")
    for client, reason in done["left_out"].items():
        click.echo(harmless_line(f"  without {client}: {reason}"))


@command.command("link")
@click.argument("room")
@click.option("--role", required=True, help="Name or number.")
@click.option("--uses", type=click.IntRange(1, 1_000), default=1, show_default=True)
@click.option("--hours", type=click.IntRange(1, 8_760), default=168, show_default=True)
@click.option("--user", default="", help="Only for them.")
@click.pass_obj
def link(
    invocation: Invocation, room: str, role: str, uses: int, hours: int, user: str
) -> None:
    """Make an invitation for whoever has it; at our own provider's rooms."""
    body = {
        "room": room_named(invocation, room),
        "role": role,
        "uses": uses,
        "hours": hours,
        "user": user,
    }
    click.echo(ask_home(invocation, "POST", "/rooms/link", body)["link"])


@command.command("join")
@click.argument("link")
@click.pass_obj
def join(invocation: Invocation, link: str) -> None:
    """Come into a room by an invitation, or into an open room by its URI."""
    room = ask_home(invocation, "POST", "/rooms/join", {"link": link})["room"]
    click.echo(f"we are in {room}")


@command.command("leave")
@click.argument("room")
@click.pass_obj
def leave(invocation: Invocation, room: str) -> None:
    """Leave a room, with all our devices."""
    _do(invocation, "leave", room)
    click.echo("we are out; its history stays here")


@command.command("role")
@click.argument("room")
@click.argument("user")
@click.argument("role")
@click.pass_obj
def role(invocation: Invocation, room: str, user: str, role: str) -> None:
    """Give USER another ROLE (name or number, see `sabir room show`)."""
    _do(invocation, "role", room, user=user, role=role)
    click.echo(f"{user} is {role}")


@command.command("kick")
@click.argument("room")
@click.argument("user")
@click.pass_obj
def kick(invocation: Invocation, room: str, user: str) -> None:
    """Put USER's devices out; they may come back."""
    _do(invocation, "kick", room, user=user)
    click.echo(f"{user} reads nothing from now on; they may come back")


@command.command("remove")
@click.argument("room")
@click.argument("user")
@click.pass_obj
def remove(invocation: Invocation, room: str, user: str) -> None:
    """Take USER out of the room."""
    _do(invocation, "remove", room, user=user)
    click.echo(f"{user} is out, and reads nothing from now on")


@command.command("ban")
@click.argument("room")
@click.argument("user")
@click.pass_obj
def ban(invocation: Invocation, room: str, user: str) -> None:
    """Take USER out, and keep them out."""
    _do(invocation, "ban", room, user=user)
    click.echo(f"{user} is banned, and reads nothing from now on")


@command.command("rename")
@click.argument("room")
@click.argument("name")
@click.pass_obj
def rename(invocation: Invocation, room: str, name: str) -> None:
    """Give a room another NAME."""
    _do(invocation, "rename", room, name=name)
    click.echo(harmless_line(f"it is called {name}"))


@command.command("close")
@click.argument("room")
@click.pass_obj
def close(invocation: Invocation, room: str) -> None:
    """Close a room of our provider, for everybody and for good."""
    _do(invocation, "close", room)
    click.echo("it is closed")


@command.command("trust")
@click.argument("room")
@click.pass_obj
def trust(invocation: Invocation, room: str) -> None:
    """Send again, after a look at the devices because of which nothing was sent."""
    _do(invocation, "trust", room)
    click.echo("messages are sent again")


@command.command("report")
@click.argument("room")
@click.argument("number", type=click.IntRange(1))
@click.option("--note", default="", help="In words.")
@click.option("--anonymous", is_flag=True, help="Without our name.")
@click.pass_obj
def report(
    invocation: Invocation, room: str, number: int, note: str, *, anonymous: bool
) -> None:
    """Show message NUMBER (from `sabir chat`) to the room's hub as abuse.

    The hub can read this message then, and no other; its own mark proves who sent it.
    """
    _do(invocation, "report", room, about=number, note=note, anonymous=anonymous)
    click.echo("the hub has it")


def _do(invocation: Invocation, what: str, room: str, **more: Any) -> None:
    body = {"room": room_named(invocation, room), **more}
    ask_home(invocation, "POST", f"/rooms/{what}", body)
