"""Who can read the conversation, and how to join it while the servers are up."""

import shlex
import sys
from typing import Final
from urllib.parse import quote

from sabir.testing.demo.stage import Stage
from sabir.testing.lab import SabirProcess
from sabir.testing.rooms_lab import FOLLOWER, ROOM_NAME

_ALIAS: Final = "tea"
_GUEST: Final = "guest"


def readers(stage: Stage) -> list[str]:
    """Return the lines that say who can read what is said."""
    if not stage.has_third:
        return [
            "Alice on Matrix <> Synapse <> Sabir <> Prosody <> Xenia on XMPP",
            "Can read: both servers, Sabir, and the members of both rooms.",
            "",
        ]
    return [
        "Alice on Matrix <> Synapse <> agent <> provider a.example  (the room's hub)",
        "                                          |  MIMI, mutual TLS",
        "Xenia on XMPP  <> Prosody <> agent <> provider b.example <> Ada's agent",
        "",
        "Can read: Synapse and Prosody, as without Sabir; the three agents; members.",
        "Cannot read: the two providers. The room is end-to-end encrypted (MLS).",
        "Who types or has read is not told between agents: MIMI has no such events.",
        "",
    ]


async def invite(stage: Stage) -> list[str]:
    """Open the doors, and return the lines that tell people how to come in."""
    lab = stage.lab
    alias = f"#{_ALIAS}:{lab.synapse.server_name}"
    await stage.alice.set_state(
        stage.matrix_room, "m.room.join_rules", {"join_rule": "public"}
    )
    await stage.alice.call(
        "PUT",
        f"/_matrix/client/v3/directory/room/{quote(alias, safe='')}",
        {"room_id": stage.matrix_room},
    )
    matrix = await lab.synapse.add_user(_GUEST)
    xmpp = await lab.prosody.add_user(_GUEST)
    return [
        "",
        "All stays up. Come in with your own apps, from this machine:",
        "",
        f"Matrix  homeserver  {matrix.base_url} ({lab.synapse.server_name})",
        f"        log in as   {_GUEST}  password: {matrix.password}",
        f"        join        {alias}",
        "        in Element  Sign in, Edit (beside the homeserver), the address above",
        "",
        f"XMPP    log in as   {xmpp.jid}  password: {xmpp.password}",
        f"        server      {xmpp.host}, port {xmpp.port}, STARTTLS",
        f"        trust       {xmpp.ca_file}",
        f"        join        {stage.xmpp_room}",
        "        in Gajim    Add account, Advanced settings: custom hostname and port",
        f"        Profanity   /connect {xmpp.jid} server {xmpp.host} port {xmpp.port}",
        "",
        "People  alice, bob and carol on Matrix, xenia, yuri and zoe on XMPP;",
        '        the password of each is "password of NAME"',
        "",
        *(await _agents(stage)),
        "",
        "Ctrl-C ends all.",
    ]


async def _agents(stage: Stage) -> list[str]:
    """Return how to look into Sabir, and how to come in without another network."""
    if not stage.has_third:
        return _inside(stage.lab.sabir, "Sabir")
    lab = stage.rooms_lab
    guest = await lab.town.person(_GUEST, FOLLOWER)
    await lab.let_in(guest)
    return [
        f"Sabir   talk in the encrypted room, as {guest.user}:",
        f"        {_command(guest.sabir)} chat {ROOM_NAME}",
        "",
        *_inside(lab.matrix_agent.sabir, "Matrix agent"),
        *_inside(lab.xmpp_agent.sabir, "XMPP agent"),
    ]


def _inside(sabir: SabirProcess, name: str) -> list[str]:
    return [
        f"{name}  {_command(sabir)} status",
        f"        {_command(sabir)} log -f",
        f"        its own log: {sabir.folder / 'sabir.log'}",
    ]


def _command(sabir: SabirProcess) -> str:
    config = str(sabir.folder / "sabir.toml")
    return shlex.join([sys.executable, "-m", "sabir.cli", "--config", config])
