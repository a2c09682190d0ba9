"""How a person adds a Matrix account: three or four questions."""

from collections.abc import Mapping
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.errors import (
    ConfigInvalid,
    CredentialsRefused,
    LocalError,
    PeerIncompatible,
    Unavailable,
)
from sabir.networks.api import Rng
from sabir.networks.login import Ask, Done, Field, ShowText, Step
from sabir.networks.matrix.client import V3, Client, Rejected, http_session
from sabir.networks.matrix.config import (
    BOT_DEFAULT,
    ID_DEFAULT,
    LISTEN_HOST_DEFAULT,
    LISTEN_PORT_DEFAULT,
    PREFIX_DEFAULT,
    AppServiceConfig,
    homeserver_url,
    server_name,
)
from sabir.networks.matrix.html import is_user_id
from sabir.networks.matrix.registration import new_token, registration

APPSERVICE: Final = "appservice"
ACCOUNT: Final = "account"
KINDS: Final = (APPSERVICE, ACCOUNT)
FILENAME: Final = "sabir-registration.yaml"

_KIND: Final = Ask(
    title="How is Sabir on Matrix?",
    fields=(
        Field(
            name="kind",
            label="Kind of account",
            help="appservice: everybody has a Matrix user of their own; you install a "
            "file on your homeserver. account: one account speaks for everybody",
            choices=KINDS,
            default=APPSERVICE,
        ),
    ),
)
_SERVICE: Final = Ask(
    title="Your homeserver",
    fields=(
        Field(
            name="server_name",
            label="Server name",
            help="the part after the colon of its user ids, e.g. example.org",
        ),
        Field(
            name="homeserver_url",
            label="Address of the client API",
            help="as seen from here, e.g. https://matrix.example.org",
        ),
        Field(
            name="listen_host",
            label="Listen on address",
            help="127.0.0.1 if the homeserver runs on this machine",
            default=LISTEN_HOST_DEFAULT,
        ),
        Field(
            name="listen_port", label="Listen on port", default=str(LISTEN_PORT_DEFAULT)
        ),
        Field(
            name="url",
            label="Our address for the homeserver",
            help="empty: http:// with the address and port above",
        ),
        Field(name="prefix", label="Ids of ghosts begin with", default=PREFIX_DEFAULT),
    ),
)
_ACCOUNT: Final = Ask(
    title="The Matrix account",
    fields=(
        Field(name="user_id", label="User id", help="e.g. @ada:example.org"),
        Field(
            name="homeserver_url",
            label="Address of the homeserver",
            help="empty: found by the server name",
        ),
        Field(name="password", label="Password", secret=True),
    ),
)


class MatrixLogin:
    """One login in progress (see `LoginFlow`)."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._step = _KIND
        self._service: AppServiceConfig | None = None

    async def begin(self) -> Step:
        """Return the first step."""
        return self._step

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Take the answers to the last step and return the next."""
        if self._service is not None:
            return await self._check_service(self._service)
        if self._step is _KIND:
            self._step = self._chosen(values.get("kind", APPSERVICE))
            return self._step
        if self._step is _SERVICE:
            return self._registration(values)
        if self._step is _ACCOUNT:
            return await self._log_in(values)
        raise LocalError("a login was answered after its end")

    async def close(self) -> None:
        """Forget what was typed."""
        self._service = None

    @staticmethod
    def _chosen(kind: str) -> Ask:
        if kind not in KINDS:
            raise ConfigInvalid(f"kind = {kind!r} is not one of {', '.join(KINDS)}")
        return _SERVICE if kind == APPSERVICE else _ACCOUNT

    # ---- application service

    def _registration(self, values: Mapping[str, str]) -> ShowText:
        port = values.get("listen_port", "") or str(LISTEN_PORT_DEFAULT)
        if not port.isdecimal() or not 0 < int(port) <= 65_535:
            raise ConfigInvalid(f"listen_port = {port!r} is not a port; use 1 to 65535")
        config = AppServiceConfig(
            homeserver_url=homeserver_url(values.get("homeserver_url", "")),
            server_name=server_name(values.get("server_name", "")),
            as_token=new_token(self._rng),
            hs_token=new_token(self._rng),
            listen_host=values.get("listen_host", "") or LISTEN_HOST_DEFAULT,
            listen_port=int(port),
            prefix=values.get("prefix", "") or PREFIX_DEFAULT,
        )
        url = values.get("url", "") or f"http://{config.listen_host}:{port}"
        self._service = config
        return ShowText(
            title="Install this file on the homeserver: add its path to "
            "app_service_config_files in homeserver.yaml, restart the homeserver, then "
            "continue. Keep it secret: it holds the tokens",
            text=registration(config, url=url),
            filename=FILENAME,
        )

    async def _check_service(self, config: AppServiceConfig) -> Done:
        async with http_session() as http:
            client = Client(config.homeserver_url, http, token=config.as_token)
            answer = await client.whoami()
        if answer.get("user_id") != config.bot_id:
            raise ConfigInvalid(
                f"the homeserver calls us {answer.get('user_id')}, expected was "
                f"{config.bot_id}; begin again with the right server_name"
            )
        return Done(
            settings={
                "kind": APPSERVICE,
                "homeserver_url": config.homeserver_url,
                "server_name": config.server_name,
                "appservice_id": ID_DEFAULT,
                "listen_host": config.listen_host,
                "listen_port": config.listen_port,
                "prefix": config.prefix,
                "bot": BOT_DEFAULT,
            },
            secrets={"as_token": config.as_token, "hs_token": config.hs_token},
            welcome=f"{config.bot_id} is ready; invite it to a room to bridge",
        )

    # ---- plain account

    async def _log_in(self, values: Mapping[str, str]) -> Done:
        user = values.get("user_id", "").strip()
        if not is_user_id(user):
            raise ConfigInvalid(
                f"{user!r} is not a user id; write it as @ada:example.org"
            )
        typed = values.get("homeserver_url", "").strip()
        async with http_session() as http:
            url = homeserver_url(typed or "https://" + user.split(":", 1)[1])
            if not typed:
                url = await _discovered(Client(url, http, token=None)) or url
            client = Client(url, http, token=None)
            answer = await _password_login(client, user, values.get("password", ""))
        return Done(
            settings={
                "kind": ACCOUNT,
                "homeserver_url": url,
                "user_id": str(answer.get("user_id", user)),
            },
            secrets={"access_token": Secret.from_text(str(answer["access_token"]))},
            welcome=f"Sabir is {answer.get('user_id', user)} on Matrix",
        )


async def _discovered(client: Client) -> str | None:
    """Return the address in `.well-known/matrix/client`; None if there is none."""
    try:
        answer = await client.call("GET", "/.well-known/matrix/client")
    except (Rejected, Unavailable):
        return None
    server = answer.get("m.homeserver")
    url = server.get("base_url") if isinstance(server, dict) else None
    return homeserver_url(url) if isinstance(url, str) else None


async def _password_login(
    client: Client, user: str, password: str
) -> dict[str, object]:
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
        "initial_device_display_name": "Sabir",
    }
    try:
        answer = await client.call("POST", f"{V3}/login", body=body)
    except Rejected as no:
        if no.status == 403:
            raise CredentialsRefused(
                "the homeserver does not accept this user and password; check both"
            ) from no
        raise PeerIncompatible(
            f"this homeserver has no login by password ({no.errcode}); take an access "
            "token from another client and put it into the configuration"
        ) from no
    if not isinstance(answer.get("access_token"), str):
        raise PeerIncompatible("the homeserver's login gives no access token")
    return answer
