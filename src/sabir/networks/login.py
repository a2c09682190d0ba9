"""The dialogue by which a person adds an account, usable by any front end.

A flow is an asynchronous generator in all but name: `begin` gives the first
step, `answer` the next, until a `Done`. A front end shows steps and returns
what the person said; it never knows the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sabir.crypto.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing to ask for."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()
    """When not empty: pick one of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask for texts, secrets, codes or choices."""

    title: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowCode:
    """Show a code (as QR where possible) and wait; answer with nothing."""

    title: str
    data: str
    instructions: str
    expires_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowText:
    """Show a text the person must use elsewhere (a file to install, say)."""

    title: str
    text: str
    filename: str = ""
    """If not empty, the front end offers to save the text under this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The account works; store this."""

    settings: Mapping[str, str | int | bool]
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    welcome: str = ""
    """One sentence: who we are now on that network."""


Step = Ask | ShowCode | ShowText | Done


class LoginFlow(Protocol):
    """One login in progress."""

    async def begin(self) -> Step:
        """Return the first step."""
        ...

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Take the answers to the last step and return the next.

        Raises:
            CredentialsRefused: wrong password, token or code; ask again.
            ConfigInvalid: an answer has the wrong form; ask again.
            Unavailable: the network does not answer.
        """
        ...

    async def close(self) -> None:
        """Give up, or clean up after `Done`. Safe to call twice."""
        ...
