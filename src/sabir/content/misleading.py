"""Links whose text reads like another address than the one they go to.

The content draft asks to warn of them (draft-ietf-mimi-content-09): who
reads `https://bank.example` must not land elsewhere.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

_ADDRESS: Final = re.compile(
    r"(?:https?://)?(?:[\w-]+\.)+[a-z][\w-]+(?::\d+)?(?:[/?#]\S*)?", re.IGNORECASE
)
_WEB: Final = frozenset({"http", "https"})


def misleads(shown: str, url: str) -> bool:
    """Tell whether the text of a link is an address, and not that of its target.

    Another path, host or port is another address, and so is `http` where `https` is
    shown. A text without a scheme stands for every address of its host.
    """
    text = shown.strip()
    if _ADDRESS.fullmatch(text) is None:
        return False
    has_scheme = "://" in text
    named, target = _split(text if has_scheme else f"//{text}"), _split(url)
    if named is None or target is None or target.scheme.lower() not in _WEB:
        return True
    if _host(named) != _host(target):
        return True
    if not has_scheme:
        return _rest(named) not in {"", _rest(target)}
    is_downgrade = (named.scheme.lower(), target.scheme.lower()) == ("https", "http")
    return is_downgrade or _rest(named) != _rest(target)


def _split(address: str) -> SplitResult | None:
    try:
        found = urlsplit(address)
        _ = found.port  # raises what is no number
    except ValueError:
        return None
    return found


def _host(address: SplitResult) -> tuple[str, int | None]:
    name = (address.hostname or "").removeprefix("www.")
    port = address.port if address.port not in {80, 443} else None
    return name, port


def _rest(address: SplitResult) -> str:
    """Return what stands behind the host, apart from a fragment."""
    query = f"?{address.query}" if address.query else ""
    return address.path.rstrip("/") + query
