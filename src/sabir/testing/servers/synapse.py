"""Synapse, the Matrix homeserver, on SQLite and loopback.

It runs from a virtual environment of its own (see `sabir.testing.install`): it is a
test server, never a dependency.
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import aiohttp

from sabir.errors import Unavailable
from sabir.testing.install import synapse_python
from sabir.testing.servers.accounts import MatrixAccount
from sabir.testing.servers.process import ServerProcess
from sabir.testing.servers.readiness import answers_http

_UNLIMITED: Final[Mapping[str, float]] = {
    "per_second": 1_000_000.0,
    "burst_count": 1_000_000,
}

_ENCRYPTION_FOR_SERVICES: Final[Mapping[str, bool]] = {
    "msc2409_to_device_messages_enabled": True,
    "msc3202_device_masquerading": True,
    "msc3202_transaction_extensions": True,
    "msc3983_appservice_otk_claims": True,
    "msc3984_appservice_key_query": True,
}
"""What Synapse hides behind flags and ghosts with devices need."""


class Synapse(ServerProcess):
    """A homeserver under test.

    Args:
        home: the server's folder.
        limits: "open" lifts every rate limit, for load; "default" keeps Synapse's own,
            to meet 429 as in real life.
        server_name: the name in user ids.
    """

    name: ClassVar[str] = "synapse"
    port_names: ClassVar[tuple[str, ...]] = ("client",)

    def __init__(
        self,
        home: Path,
        *,
        limits: Literal["open", "default"] = "open",
        server_name: str = "mx.lab.localhost",
    ) -> None:
        super().__init__(home)
        self.limits = limits
        self.server_name = server_name
        self.base_url = f"http://{self.host}:{self.ports['client']}"

    def add_appservice(
        self, service_id: str, *, url: str, as_token: str, hs_token: str, prefix: str
    ) -> None:
        """Register an application service; takes effect at the next start.

        Args:
            service_id: the registration's name; the same one again replaces it.
            url: where Synapse pushes transactions to.
            as_token: what the service shows to Synapse.
            hs_token: what Synapse shows to the service.
            prefix: the local parts of its ghosts and aliases start with this; its own
                user is `{prefix}bot`.
        """
        server = self.server_name.replace(".", "\\.")
        self.add_registration(
            {
                "id": service_id,
                "url": url,
                "as_token": as_token,
                "hs_token": hs_token,
                "sender_localpart": f"{prefix}bot",
                "rate_limited": False,
                "namespaces": {
                    "users": [{"exclusive": True, "regex": f"@{prefix}.*:{server}"}],
                    "aliases": [{"exclusive": True, "regex": f"#{prefix}.*:{server}"}],
                    "rooms": [],
                },
                "receive_ephemeral": True,
                "de.sorunome.msc2409.push_ephemeral": True,
                "org.matrix.msc3202": True,
                "io.element.msc4190": True,
            }
        )

    def add_registration(self, registration: Mapping[str, Any]) -> None:
        """Register an application service as it describes itself, at the next start."""
        file = self.home / f"appservice-{registration['id']}.yaml"
        file.write_text(json.dumps(registration, indent=1))  # JSON is YAML

    def remove_appservice(self, service_id: str) -> None:
        """Forget an application service; takes effect at the next start."""
        (self.home / f"appservice-{service_id}.yaml").unlink()

    async def add_user(self, name: str, password: str | None = None) -> MatrixAccount:
        """Register a person and log them in; log in where they exist.

        Raises:
            Unavailable: Synapse refused both.
        """
        password = password or f"password of {name}"
        register = {
            "username": name,
            "password": password,
            "auth": {"type": "m.login.dummy"},
        }
        login = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": name},
            "password": password,
        }
        async with aiohttp.ClientSession(self.base_url) as session:
            status, answer = await _post(session, "register", register)
            if answer.get("errcode") == "M_USER_IN_USE":
                status, answer = await _post(session, "login", login)
        if status != 200:
            raise Unavailable(f"Synapse did not take user {name}: {status} {answer}")
        return MatrixAccount(
            base_url=self.base_url,
            user_id=answer["user_id"],
            password=password,
            access_token=answer["access_token"],
            device_id=answer["device_id"],
        )

    def _configure(self) -> None:
        key_file = self.home / "signing.key"
        if not key_file.exists():
            seed = base64.b64encode(os.urandom(32)).decode().rstrip("=")
            key_file.write_text(f"ed25519 a_test {seed}\n")
        config = self._config(key_file) | self._rates()
        (self.home / "homeserver.yaml").write_text(json.dumps(config, indent=1))
        (self.home / "log.yaml").write_text(json.dumps(self._logging(), indent=1))

    def _config(self, key_file: Path) -> dict[str, Any]:
        secret = key_file.read_text().split()[2]
        return {
            "server_name": self.server_name,
            "public_baseurl": f"{self.base_url}/",
            "pid_file": str(self.home / "homeserver.pid"),
            "listeners": [
                {
                    "port": self.ports["client"],
                    "bind_addresses": [self.host],
                    "type": "http",
                    "tls": False,
                    "resources": [{"names": ["client"], "compress": False}],
                }
            ],
            "database": {
                "name": "sqlite3",
                "args": {"database": str(self.home / "homeserver.db")},
            },
            "log_config": str(self.home / "log.yaml"),
            "media_store_path": str(self.home / "media"),
            "signing_key_path": str(key_file),
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "report_stats": False,
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "bcrypt_rounds": 4,
            "registration_shared_secret": secret,
            "macaroon_secret_key": secret,
            "form_secret": secret,
            "app_service_config_files": sorted(
                str(file) for file in self.home.glob("appservice-*.yaml")
            ),
            "experimental_features": dict(_ENCRYPTION_FOR_SERVICES),
        }

    def _rates(self) -> dict[str, Any]:
        if self.limits == "default":
            return {}
        plain = (
            "rc_message",
            "rc_registration",
            "rc_room_creation",
            "rc_joins_per_room",
        )
        split = {
            "rc_login": ("address", "account", "failed_attempts"),
            "rc_joins": ("local", "remote"),
            "rc_invites": ("per_room", "per_user", "per_issuer"),
        }
        rates: dict[str, Any] = dict.fromkeys(plain, _UNLIMITED)
        for name, kinds in split.items():
            rates[name] = dict.fromkeys(kinds, _UNLIMITED)
        return rates

    def _logging(self) -> dict[str, Any]:
        return {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {"format": "%(asctime)s %(name)s %(levelname)s %(message)s"}
            },
            "handlers": {
                "file": {
                    "class": "logging.FileHandler",
                    "filename": str(self._log_files()[0]),
                    "formatter": "line",
                }
            },
            "loggers": {"synapse.storage.SQL": {"level": "WARNING"}},
            "root": {"level": "INFO", "handlers": ["file"]},
        }

    def _command(self) -> Sequence[str]:
        config = self.home / "homeserver.yaml"
        return [
            str(synapse_python()),
            *("-m", "synapse.app.homeserver", "-c", str(config)),
        ]

    async def _is_ready(self) -> bool:
        return await answers_http(self.ports["client"], "/_matrix/client/versions")

    def _log_files(self) -> Sequence[Path]:
        return [self.home / "homeserver.log"]


async def _post(
    session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]
) -> tuple[int, dict[str, Any]]:
    async with session.post(f"/_matrix/client/v3/{path}", json=body) as answer:
        return answer.status, await answer.json()
