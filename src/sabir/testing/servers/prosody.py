"""Prosody, an XMPP server, from the distribution's package, on SQLite and loopback.

- Rooms are persistent, public, archived for ever, made by whoever enters first, and
  show real addresses; occupant ids come as Prosody 0.12 gives them.
- Files up to 64 MiB are taken from people and components.
- There is no federation: no other server exists here.
"""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

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
"""Above the 45 MB that the media tests send, as many public servers allow."""

_CONTROL_TIMEOUT_S: Final = 30.0
"""prosodyctl answers in half a second; a busy machine takes longer."""

_CONFIG: Final = """\
-- written anew at every start; change sabir.testing.servers.prosody instead
run_as_root = true
pidfile = "{home}/prosody.pid"
data_path = "{home}/data"
plugin_paths = {{ "/usr/lib/prosody/modules" }}
log = {{ info = "{home}/prosody.log" }}
modules_enabled = {{
  "roster"; "saslauth"; "tls"; "disco"; "private"; "vcard4"; "vcard_legacy"; "carbons";
  "pep"; "mam"; "smacks"; "csi_simple"; "blocklist"; "version"; "time"; "ping";
  "bookmarks"; "privilege"; "offline"; "presence"; "message"; "iq"; "lastactivity";
}}
modules_disabled = {{ "s2s" }}
authentication = "internal_hashed"
storage = "sql"
sql = {{ driver = "SQLite3"; database = "{home}/data/prosody.sqlite" }}
archive_expires_after = "never"
limits = {{}}

interfaces = {{ "{host}" }}
local_interfaces = {{ "{host}" }}
c2s_require_encryption = false
c2s_ports = {{ {ports[c2s]} }}
c2s_direct_tls_ports = {{}}
s2s_ports = {{}}
s2s_direct_tls_ports = {{}}
component_ports = {{ {ports[component]} }}
component_interface = "{host}"
http_ports = {{ {ports[http]} }}
http_interfaces = {{ "{host}" }}
http_external_url = "http://{host}:{ports[http]}/"
http_default_host = "upload.{domain}"
https_ports = {{}}
ssl = {{ certificate = "{chain}"; key = "{key}" }}

VirtualHost "{domain}"
  disco_items = {{
    {{ "conference.{domain}"; "Rooms" }}; {{ "upload.{domain}"; "Files" }};
  }}
  privileged_entities = {{ {privileged} }}

Component "conference.{domain}" "muc"
  modules_enabled = {{ "muc_mam"; "vcard_muc" }}
  restrict_room_creation = false
  muc_room_locking = false
  muc_room_default_persistent = true
  muc_room_default_public = true
  muc_room_default_public_jids = true
  muc_log_by_default = true
  muc_log_expires_after = "never"

Component "upload.{domain}" "http_file_share"
  http_file_share_access = {{ {uploaders} }}
  http_file_share_size_limit = {upload_max}
  http_file_share_daily_quota = 64 * {upload_max}
  http_file_share_global_quota = 64 * {upload_max}
{components}"""

_PRIVILEGES: Final = (
    '["{jid}"] = {{ roster = "both"; message = "outgoing"; iq = {{ '
    '["http://jabber.org/protocol/pubsub"] = "both"; '
    '["http://jabber.org/protocol/pubsub#owner"] = "set"; '
    '["urn:xmpp:mam:2"] = "both" }} }}'
)
"""XEP-0356: what a component may do in the name of this server's people."""

_COMPONENT: Final = """
Component "{jid}"
  component_secret = "{secret}"
  modules_enabled = {{ "privilege" }}
"""


class Prosody(ServerProcess):
    """An XMPP server under test.

    Args:
        home: the server's folder.
        domain: the domain of its people; rooms are at `conference.{domain}`.
    """

    name: ClassVar[str] = "prosody"
    port_names: ClassVar[tuple[str, ...]] = ("c2s", "component", "http")

    def __init__(self, home: Path, *, domain: str = "xa.lab.example") -> None:
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
            Unavailable: prosodyctl refused.
        """
        password = password or f"password of {name}"
        await asyncio.to_thread(self._control, "register", name, self.domain, password)
        return XmppAccount(
            jid=f"{name}@{self.domain}",
            password=password,
            host=self.host,
            port=self.ports["c2s"],
            ca_file=self.certificate.ca_file,
            upload_service=self.upload_service,
        )

    def _control(self, *arguments: str) -> None:
        done = subprocess.run(
            ["prosodyctl", "--config", str(self._config_file), *arguments],
            capture_output=True,
            check=False,
            text=True,
            timeout=_CONTROL_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise Unavailable(
                f"prosodyctl {arguments[0]} failed: {done.stdout}{done.stderr}; "
                f"is Prosody in {self.home} running?"
            )

    def _configure(self) -> None:
        (self.home / "data").mkdir(exist_ok=True)
        parts = [
            _COMPONENT.format(jid=jid, secret=secret)
            for jid, secret in self._components.items()
        ]
        self._config_file.write_text(
            _CONFIG.format(
                home=self.home,
                host=self.host,
                ports=self.ports,
                domain=self.domain,
                chain=self.certificate.chain_file,
                key=self.certificate.key_file,
                upload_max=_UPLOAD_OCTETS_MAX,
                uploaders="; ".join(f'"{n}"' for n in [self.domain, *self._components]),
                privileged="; ".join(
                    _PRIVILEGES.format(jid=jid) for jid in self._components
                ),
                components="".join(parts),
            )
        )

    def _command(self) -> Sequence[str]:
        return ["prosody", "--config", str(self._config_file), "-F"]

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
        return [self.home / "prosody.log"]

    @property
    def _config_file(self) -> Path:
        return self.home / "prosody.cfg.lua"
