"""How a person adds their Mac: address and password, then how news come."""

from collections.abc import Mapping
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, LocalError
from sabir.networks.api import Rng
from sabir.networks.imessage.client import BlueBubbles, http_session
from sabir.networks.imessage.config import (
    LISTEN_HOST_DEFAULT,
    LISTEN_PORT_DEFAULT,
    RECEIVE,
    SOCKET,
    URL_DEFAULT,
    WEBHOOK,
    WEBHOOK_URL_DEFAULT,
    listen_port,
    password,
    server_url,
    webhook_url,
)
from sabir.networks.imessage.health import NO_HELPER, OLD_MACOS, SIGNED_OUT
from sabir.networks.imessage.server import ServerInfo, server_info
from sabir.networks.login import Ask, Done, Field, Step

SECRET_OCTETS: Final = 32
SIP: Final = (
    "The helper needs System Integrity Protection switched off, which weakens the"
    " whole Mac; Sabir works without it"
)

_MAC: Final = Ask(
    title="Your Mac, signed in to iMessage, with BlueBubbles running (its settings"
    " show address and password). Who has the password can read and write everything",
    fields=(
        Field(
            name="url",
            label="Address of BlueBubbles",
            help="http://127.0.0.1:1234 on the same machine; else https:// or a"
            " private network",
            default=URL_DEFAULT,
        ),
        Field(name="password", label="Password", secret=True),
        Field(
            name="receive",
            label="How news come",
            help="socket: Sabir connects, works everywhere. webhook: the Mac calls an"
            " address of yours. polling: every 30 seconds",
            choices=RECEIVE,
            default=SOCKET,
        ),
    ),
)
_HOOK: Final = Ask(
    title="Where the Mac calls. Its calls are not signed, so Sabir makes a secret path",
    fields=(
        Field(
            name="webhook_url",
            label="Address as the Mac sees it",
            help="https:// unless Sabir runs on the Mac or in a private network",
            default=WEBHOOK_URL_DEFAULT,
        ),
        Field(
            name="listen_host",
            label="Listen on address",
            help="127.0.0.1 if the Mac or the reverse proxy is this machine",
            default=LISTEN_HOST_DEFAULT,
        ),
        Field(
            name="listen_port", label="Listen on port", default=str(LISTEN_PORT_DEFAULT)
        ),
    ),
)


class MacLogin:
    """One login in progress (see `LoginFlow`)."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._done: Done | None = None
        self._is_over = False

    async def begin(self) -> Step:
        """Return the first step."""
        return _MAC

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Take the answers to the last step and return the next."""
        if self._is_over:
            raise LocalError("a login was answered after its end")
        if self._done is None:
            return await self._mac(values)
        step = self._with_webhook(self._done, values)
        self._is_over = True
        return step

    async def close(self) -> None:
        """Forget what was typed."""
        self._done = None
        self._is_over = True

    async def _mac(self, values: Mapping[str, str]) -> Step:
        receive = values.get("receive", "") or SOCKET
        if receive not in RECEIVE:
            raise ConfigInvalid(
                f"receive = {receive!r} is not one of {', '.join(RECEIVE)}"
            )
        base = server_url(values.get("url", "") or URL_DEFAULT)
        secret = password(values.get("password", ""))
        async with http_session() as http:
            api = BlueBubbles(base, http, secret)
            info = server_info(await api.get("/server/info"))
        done = Done(
            settings={"receive": receive, "url": base},
            secrets={"password": secret},
            welcome=_welcome(info),
        )
        if receive == WEBHOOK:
            self._done = done
            return _HOOK
        self._is_over = True
        return done

    def _with_webhook(self, done: Done, values: Mapping[str, str]) -> Done:
        port = values.get("listen_port", "") or str(LISTEN_PORT_DEFAULT)
        settings = {
            **done.settings,
            "webhook_url": webhook_url(
                values.get("webhook_url", "") or WEBHOOK_URL_DEFAULT
            ),
            "listen_host": values.get("listen_host", "") or LISTEN_HOST_DEFAULT,
            "listen_port": listen_port(port),
        }
        secret = Secret.from_text(self._rng(SECRET_OCTETS).hex())
        return Done(
            settings=settings,
            secrets={**done.secrets, "webhook_secret": secret},
            welcome=done.welcome,
        )


def _welcome(info: ServerInfo) -> str:
    """Say who we are and what the Mac can do."""
    who = f"You are {info.address} on iMessage. " if info.address else ""
    text = f"{who}The Mac has macOS {info.macos} and BlueBubbles {info.version}. "
    if info.address is None:
        text += f"Now {SIGNED_OUT}. "
    if not info.helper:
        text += f"It does {NO_HELPER}. {SIP}. "
    elif not info.edits:
        text += f"There are {OLD_MACOS}. "
    return text + "See `sabir chats`."
