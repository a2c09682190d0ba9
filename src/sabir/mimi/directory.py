"""The directory of a provider: where its endpoints are (D-08, D-09)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote, urlsplit

from sabir.wire.errors import Malformed

DIRECTORY_PATH: Final = "/.well-known/mimi-protocol-directory"
DIRECTORY_OCTETS_MAX: Final = 65_536
"""Octets of a directory (D-07)."""
TEMPLATE_OCTETS_MAX: Final = 2_048
"""Octets of a template; longer URLs are refused by many servers."""
NAMES_MAX: Final = 256
"""Elements of a list in `x-sabir`."""

PRIVATE: Final = "x-sabir"
_VARIABLE: Final = re.compile(r"\{([A-Za-z0-9_]+)\}")


class Endpoint(StrEnum):
    """The members of a directory that are endpoints."""

    KEY_MATERIAL = "keyMaterial"
    UPDATE = "update"
    NOTIFY = "notify"
    SUBMIT_MESSAGE = "submitMessage"
    GROUP_INFO = "groupInfo"
    REQUEST_CONSENT = "requestConsent"
    UPDATE_CONSENT = "updateConsent"
    IDENTIFIER_QUERY = "identifierQuery"
    REPORT_ABUSE = "reportAbuse"
    PROXY_DOWNLOAD = "proxyDownload"

    @property
    def variable(self) -> str:
        """Return the variable in our own template."""
        return _VARIABLES[self]


_VARIABLES: Final = {
    Endpoint.KEY_MATERIAL: "targetUser",
    Endpoint.UPDATE: "roomId",
    Endpoint.NOTIFY: "roomId",
    Endpoint.SUBMIT_MESSAGE: "roomId",
    Endpoint.GROUP_INFO: "roomId",
    Endpoint.REQUEST_CONSENT: "targetDomain",
    Endpoint.UPDATE_CONSENT: "requesterDomain",
    Endpoint.IDENTIFIER_QUERY: "domain",
    Endpoint.REPORT_ABUSE: "roomId",
    Endpoint.PROXY_DOWNLOAD: "downloadUrl",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """What a provider offers.

    Attributes:
        templates: absolute https URLs; what is missing is not offered.
        profiles: profile ids; empty for a bare peer.
        suites: cipher suites.
        domains: of the provider.
        asset_domains: hosts of its assets.
        ohttp_gateway: URL, or empty.
        contact: for complaints, or empty.
    """

    templates: Mapping[Endpoint, str]
    profiles: tuple[str, ...] = ()
    suites: tuple[int, ...] = ()
    domains: tuple[str, ...] = ()
    asset_domains: tuple[str, ...] = ()
    ohttp_gateway: str = field(default="")
    contact: str = field(default="")

    @property
    def is_bare(self) -> bool:
        """Tell whether the peer says nothing about profiles."""
        return not self.profiles

    def encode(self) -> bytes:
        """Return the JSON document."""
        private: dict[str, Any] = {
            "profiles": list(self.profiles),
            "suites": list(self.suites),
            "domains": list(self.domains),
            "assetDomains": list(self.asset_domains),
        }
        if self.ohttp_gateway:
            private["ohttpGateway"] = self.ohttp_gateway
        if self.contact:
            private["contact"] = self.contact
        document: dict[str, Any] = {
            endpoint.value: template for endpoint, template in self.templates.items()
        }
        if self.profiles:
            document[PRIVATE] = private
        return json.dumps(document).encode("utf-8")


def our_templates(base_url: str) -> Mapping[Endpoint, str]:
    """Return the templates of all ten endpoints below a URL like `https://host`."""
    return {endpoint: f"{base_url}{our_path(endpoint)}" for endpoint in Endpoint}


def our_path(endpoint: Endpoint) -> str:
    """Return the path of one of our endpoints, with its variable."""
    return f"/v1/{endpoint.value}/{{{endpoint.variable}}}"


def decode_directory(octets: bytes) -> Directory:
    """Read a directory.

    Raises:
        Malformed: MIMI-350 no JSON object, or a member of another type; MIMI-351 a
            template that is no absolute https URL.
    """
    if len(octets) > DIRECTORY_OCTETS_MAX:
        raise Malformed("MIMI-350", f"{len(octets)} octets")
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError):
        raise Malformed("MIMI-350", "no JSON") from None
    if not isinstance(document, dict):
        raise Malformed("MIMI-350", "no JSON object")
    templates = {
        endpoint: _template(document[endpoint.value])
        for endpoint in Endpoint
        if endpoint.value in document
    }
    private = document.get(PRIVATE, {})
    if not isinstance(private, dict):
        raise Malformed("MIMI-350", PRIVATE)
    return Directory(
        templates=templates,
        profiles=_texts(private, "profiles"),
        suites=_numbers(private, "suites"),
        domains=_texts(private, "domains"),
        asset_domains=_texts(private, "assetDomains"),
        ohttp_gateway=_text(private, "ohttpGateway"),
        contact=_text(private, "contact"),
    )


def expand(template: str, values: Mapping[str, str], default: str) -> str:
    """Fill a template (RFC 6570 level 1).

    Args:
        template: of a directory.
        values: by name of the variable.
        default: for the only variable of a name that we do not know.

    Raises:
        Malformed: MIMI-352, several variables, one of them unknown.
    """
    names = set(_VARIABLE.findall(template))
    unknown = names - values.keys()
    if unknown and len(names) > 1:
        raise Malformed("MIMI-352", f"variables {', '.join(sorted(unknown))}")
    return _VARIABLE.sub(
        lambda found: quote(values.get(found[1], default), safe=""), template
    )


def host_of(url: str) -> str:
    """Return the host of a URL that `decode_directory` let pass, lower case."""
    return (urlsplit(url).hostname or "").lower()


def _template(value: object) -> str:
    if not isinstance(value, str) or len(value) > TEMPLATE_OCTETS_MAX:
        raise Malformed("MIMI-350", "a template that is no text")
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise Malformed("MIMI-351", "no URL") from None
    authority = url.netloc
    plain = _VARIABLE.sub("", url.path + url.query)
    if (
        url.scheme != "https"
        or not url.hostname
        or "@" in authority
        or "#" in value
        or "{" in authority + plain
        or "}" in authority + plain
        or port == 0
        or not value.isascii()
        or any(character <= " " for character in value)
    ):
        raise Malformed("MIMI-351", "no absolute https template")
    return value


def _texts(private: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(each for each in _list(private, name) if isinstance(each, str))


def _numbers(private: Mapping[str, Any], name: str) -> tuple[int, ...]:
    return tuple(each for each in _list(private, name) if type(each) is int)


def _list(private: Mapping[str, Any], name: str) -> list[Any]:
    value = private.get(name, [])
    if not isinstance(value, list) or len(value) > NAMES_MAX:
        raise Malformed("MIMI-350", name)
    return value


def _text(private: Mapping[str, Any], name: str) -> str:
    value = private.get(name, "")
    if not isinstance(value, str) or len(value) > TEMPLATE_OCTETS_MAX:
        raise Malformed("MIMI-350", name)
    return value
