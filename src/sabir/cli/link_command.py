"""`sabir link`: connect chats of different networks."""

import json

import click

from sabir.cli.context import Invocation
from sabir.cli.control import ask
from sabir.cli.harmless import harmless_line
from sabir.errors import ConfigInvalid


def chat_address(text: str) -> dict[str, str]:
    """Split `ACCOUNT:CHAT` at the first colon (Matrix ids contain more of them).

    Raises:
        ConfigInvalid: there is no colon.
    """
    account, colon, chat = text.partition(":")
    if not colon or not account or not chat:
        raise ConfigInvalid(
            f'"{text}" is no ACCOUNT:CHAT, e.g. matrix:!abc:example.org'
            " or xmpp:tea@rooms.example.org"
        )
    return {"account": account, "chat": chat}


@click.command("link")
@click.argument("chats", nargs=-1, required=True, metavar="ACCOUNT:CHAT...")
@click.option("--room", metavar="URI", help="Into this room instead of a new one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(
    invocation: Invocation, chats: tuple[str, ...], room: str | None, *, as_json: bool
) -> None:
    """Connect two or more chats: what is said in one is said in all.

    Example: sabir link matrix:!abc:example.org xmpp:tea@rooms.example.org
    """
    if len(chats) < 2 and room is None:
        raise ConfigInvalid("a link needs two chats, or one and --room")
    socket = invocation.installation().config.agent.control_socket
    body = {"chats": [chat_address(chat) for chat in chats], "room": room}
    click.echo("entering the chats …", err=True)
    made = ask(socket, "POST", "/link", body)
    if as_json:
        click.echo(json.dumps(made))
        return
    click.echo(f"room {made['room']}")
    for portal in made["portals"]:
        line = f"  portal {portal['id']}  {portal['account']}:{portal['chat']}"
        click.echo(harmless_line(line))
    click.echo(
        "Readable by: the members of these chats, their servers, and this Sabir."
    )
