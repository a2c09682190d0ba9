"""proxyDownload: what nobody may make a provider fetch (MC-090)."""

from typing import Final

from sabir.mimi.directory import Endpoint
from sabir.testing.mimi.conformance.finding import check
from sabir.testing.mimi.conformance.transport import SOMEBODY, refused
from sabir.testing.mimi.conformance.visit import Visit

TARGETS: Final = {
    "an unknown host": f"https://{SOMEBODY}/v1/x",
    "http": "http://{host}/v1/x",
    "another port": "https://{host}:8443/v1/x",
    "a user": "https://user@{host}/v1/x",
    "a fragment": "https://{host}/v1/x#y",
    "a loopback address": "https://127.0.0.1/v1/x",
    "a loopback address of IPv6": "https://[::1]/v1/x",
    "an address as one number": "https://2130706433/v1/x",
    "a private address": "https://10.0.0.1/v1/x",
    "a cloud's metadata": "https://169.254.169.254/latest/meta-data/",
    "localhost": "https://localhost/v1/x",
    "a file": "file:///etc/passwd",
    "no URL": "x",
}


@check("MC-090", "proxyDownload: hosts, schemes, ports, addresses that are refused")
async def targets(visit: Visit) -> str:
    """Ask for what is not a file of a peer."""
    host = next(iter(visit.directory.asset_domains), visit.theirs)
    for what, target in TARGETS.items():
        url = visit.url(Endpoint.PROXY_DOWNLOAD, target.replace("{host}", host))
        reply = await visit.ask("GET", url)
        refused(reply, 403, "asset-target-not-allowed", what)
    return f"{len(TARGETS)} targets refused"
