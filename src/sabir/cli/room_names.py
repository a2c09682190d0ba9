"""Which room a person means: by URI, by name, or by the end of its URI."""

from typing import Any

from sabir.cli.context import Invocation
from sabir.cli.control import ask
from sabir.errors import ConfigInvalid

_OUT = frozenset({"left", "closed"})


def ask_home(invocation: Invocation, method: str, path: str, body: Any = None) -> Any:
    """Ask the running agent. Raises as `control.ask`."""
    control = invocation.installation().config.agent.control_socket
    return ask(control, method, path, body)


def room_named(invocation: Invocation, text: str) -> str:
    """Return the URI of the room that a person means.

    Raises:
        ConfigInvalid: no room is called so, or several are.
        NotRunning, Refusal: as `control.ask`.
    """
    if text.startswith("mimi://"):
        return text
    rows = ask_home(invocation, "GET", "/rooms")
    found = [row for row in rows if text == row["name"]] or [
        row for row in rows if row["room"].endswith(text)
    ]
    inside = [row for row in found if row["state"] not in _OUT] or found
    if len(inside) == 1:
        return str(inside[0]["room"])
    if not inside:
        raise ConfigInvalid(f'there is no room "{text}"; see `sabir room list`')
    uris = ", ".join(row["room"] for row in inside)
    raise ConfigInvalid(f'several rooms are called "{text}"; name one of {uris}')
