"""Where a daemon listens. Pure."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from sabir.errors import ConfigInvalid

DEFAULT: Final = "tcp:127.0.0.1:7583"
"""signal-cli's own default port."""
_FORMS: Final = (
    "write unix:/run/signal-cli/socket, tcp:127.0.0.1:7583 or http://127.0.0.1:8080"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A socket's path, or a host and port; `is_http` tells the dialect."""

    path: str = ""
    host: str = ""
    port: int = 0
    is_http: bool = False

    @property
    def url(self) -> str:
        """Return the base address of the HTTP dialect."""
        return f"http://{self._address}"

    @property
    def _address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        """Return it as it is written in the configuration."""
        if self.path:
            return f"unix:{self.path}"
        return self.url if self.is_http else f"tcp:{self._address}"


def endpoint(text: str) -> Endpoint:
    """Read an address.

    Raises:
        ConfigInvalid: of another form, or not on this machine: the daemon asks nobody
            who they are, so whoever reaches its port can read and write everything.
    """
    text = text.strip()
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not path.startswith("/"):
            raise ConfigInvalid(f"endpoint = {text!r} names no full path; {_FORMS}")
        return Endpoint(path=path)
    is_http = text.startswith("http://")
    if not is_http and not text.startswith("tcp:"):
        raise ConfigInvalid(f"endpoint = {text!r} is of no known form; {_FORMS}")
    bare = text if is_http else "tcp://" + text.removeprefix("tcp:").removeprefix("//")
    try:
        parts = urlsplit(bare)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or not port:
        raise ConfigInvalid(f"endpoint = {text!r} lacks host or port; {_FORMS}")
    if not _is_this_machine(host):
        raise ConfigInvalid(
            f"endpoint = {text!r} is another machine: the daemon asks nobody who they"
            " are and nothing is encrypted on the way; run it on this machine, or bring"
            " its port here by a tunnel"
        )
    return Endpoint(host=host, port=port, is_http=is_http)


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
