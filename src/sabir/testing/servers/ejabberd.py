"""ejabberd, an XMPP server, from the distribution's package, on SQLite and loopback.

Rooms, files and federation are as in `sabir.testing.servers.prosody`, so that one
test can run on both. Everything is in SQLite: ejabberd's own database loses the last
accounts and rooms when the server is killed, and its archive falls from 274 to 19
messages a second within six thousand messages.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import aiohttp

from sabir.errors import Unavailable
from sabir.testing.servers.accounts import ComponentAccount, XmppAccount
from sabir.testing.servers.authority import keep_certificate
from sabir.testing.servers.process import ServerProcess
from sabir.testing.servers.readiness import (
    answers_anything_http,
    answers_client_stream,
    answers_component_stream,
)

_UPLOAD_OCTETS_MAX: Final = 64 * 1024 * 1024
"""As for Prosody."""

_LIBRARIES: Final = Path("/usr/lib")
_SCHEMA: Final = Path("/usr/share/ejabberd/sql/lite.sql")

_ROOM_OPTIONS: Final[Mapping[str, object]] = {
    "mam": True,
    "persistent": True,
    "public": True,
    "anonymous": False,
    "allow_change_subj": True,
}


class Ejabberd(ServerProcess):
    """An XMPP server under test.

    Args:
        home: the server's folder.
        domain: the domain of its people; rooms are at `conference.{domain}`.
    """

    name: ClassVar[str] = "ejabberd"
    port_names: ClassVar[tuple[str, ...]] = ("c2s", "component", "http")

    def __init__(self, home: Path, *, domain: str = "xb.lab.example") -> None:
        super().__init__(home)
        self.domain = domain
        self.muc = f"conference.{domain}"
        self.upload_service = f"upload.{domain}"
        self.certificate = keep_certificate(
            self.home / "tls", [domain, self.muc, self.upload_service]
        )
        self._components: dict[str, str] = {}

    def add_component(self, name: str, secret: str) -> ComponentAccount:
        """Make room for a component `{name}.{domain}`; in effect at the next start."""
        jid = f"{name}.{self.domain}"
        self._components[jid] = secret
        return ComponentAccount(
            jid=jid, secret=secret, host=self.host, port=self.ports["component"]
        )

    async def add_user(self, name: str, password: str | None = None) -> XmppAccount:
        """Register a person, or set their password; the server must run.

        Raises:
            Unavailable: ejabberd refused.
        """
        password = password or f"password of {name}"
        who = {"user": name, "host": self.domain}
        status, answer = await self._control("register", who | {"password": password})
        if status == 409:  # the person exists
            status, answer = await self._control(
                "change_password", who | {"newpass": password}
            )
        if status != 200:
            raise Unavailable(f"ejabberd did not take user {name}: {status} {answer}")
        return XmppAccount(
            jid=f"{name}@{self.domain}",
            password=password,
            host=self.host,
            port=self.ports["c2s"],
            ca_file=self.certificate.ca_file,
            upload_service=self.upload_service,
        )

    async def _control(
        self, command: str, arguments: Mapping[str, str]
    ) -> tuple[int, str]:
        url = f"http://{self.host}:{self.ports['http']}/api/{command}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=arguments) as answer,
        ):
            return answer.status, await answer.text()

    def _configure(self) -> None:
        for folder in ("spool", "upload"):
            (self.home / folder).mkdir(exist_ok=True)
        files = self.certificate
        bundle = self.home / "tls" / "bundle.pem"
        bundle.write_text(files.chain_file.read_text() + files.key_file.read_text())
        config = self._config(bundle)
        self._config_file.write_text(json.dumps(config, indent=1))  # JSON is YAML
        if not self._database.exists():
            with sqlite3.connect(self._database) as database:
                database.executescript(_SCHEMA.read_text())
            database.close()

    def _config(self, bundle: Path) -> dict[str, Any]:
        return {
            "hosts": [self.domain],
            "loglevel": "info",
            "certfiles": [str(bundle)],
            "auth_method": "sql",
            "default_db": "sql",
            "auth_password_format": "scram",
            "sql_type": "sqlite",
            "sql_database": str(self._database),
            "sql_pool_size": 1,
            "listen": self._listeners(),
            "acl": {"local": {"user_regexp": ""}},
            "access_rules": {"local": {"allow": "local"}},
            "api_permissions": {
                "tests": {"from": ["mod_http_api"], "who": "all", "what": "*"}
            },
            "modules": self._modules(),
        }

    def _listeners(self) -> list[dict[str, Any]]:
        secrets = {
            jid: {"password": secret} for jid, secret in self._components.items()
        }
        handlers = {"/upload": "mod_http_upload", "/api": "mod_http_api"}
        listeners: list[dict[str, Any]] = [
            {
                "port": self.ports["c2s"],
                "module": "ejabberd_c2s",
                "starttls": True,
                "access": "all",
                "shaper": "none",
            },
            {
                "port": self.ports["http"],
                "module": "ejabberd_http",
                "request_handlers": handlers,
            },
            {
                "port": self.ports["component"],
                "module": "ejabberd_service",
                "access": "all",
                "shaper_rule": "none",
                "hosts": secrets,
            },
        ]
        return [listener | {"ip": self.host} for listener in listeners]

    def _modules(self) -> dict[str, Any]:
        pep = {"access_model": "open"}
        plain = (
            "admin_extra blocking carboncopy caps disco muc_admin offline ping "
            "privacy private roster stream_mgmt vcard vcard_xupdate version "
            "privilege delegation"
        )
        modules: dict[str, Any] = {f"mod_{name}": {} for name in plain.split()}
        return modules | {
            "mod_mam": {
                "default": "always",
                "assume_mam_usage": True,
            },
            "mod_muc": {
                "hosts": [self.muc],
                "access_create": "all",
                "default_room_options": dict(_ROOM_OPTIONS),
            },
            "mod_http_upload": {
                "hosts": [self.upload_service],
                "put_url": f"http://{self.host}:{self.ports['http']}/upload",
                "docroot": str(self.home / "upload"),
                "max_size": _UPLOAD_OCTETS_MAX,
                "access": "all",
            },
            "mod_pubsub": {
                "plugins": ["flat", "pep"],
                "force_node_config": {
                    "eu.siacs.conversations.axolotl.*": pep,
                    "urn:xmpp:omemo:2:*": pep,
                },
            },
        }

    def _command(self) -> Sequence[str]:
        return [
            *("erl", "-noinput", "-noshell", "+K", "true"),
            *("-mnesia", "dir", f'"{self.home}/spool"', "-s", "ejabberd"),
        ]

    def _environment(self) -> Mapping[str, str]:
        programs = sorted(_LIBRARIES.glob("*/ejabberd-*/ebin"))
        return {
            "HOME": str(self.home),
            "ERL_LIBS": str(programs[0].parent.parent) if programs else "",
            "EJABBERD_CONFIG_PATH": str(self._config_file),
            "EJABBERD_LOG_PATH": str(self._log_files()[0]),
        }

    async def _is_ready(self) -> bool:
        if not await answers_client_stream(self.ports["c2s"], self.domain):
            return False
        if not await answers_anything_http(self.ports["http"]):
            return False
        for jid in self._components:
            if not await answers_component_stream(self.ports["component"], jid):
                return False
        return True

    def _log_files(self) -> Sequence[Path]:
        return [self.home / "ejabberd.log"]

    @property
    def _config_file(self) -> Path:
        return self.home / "ejabberd.yml"

    @property
    def _database(self) -> Path:
        return self.home / "ejabberd.sqlite"
