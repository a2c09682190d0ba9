"""The file that the homeserver's administrator installs once."""

import base64
import json
import re
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.networks.api import Rng
from sabir.networks.matrix.config import AppServiceConfig

TOKEN_OCTETS: Final = 32


def new_token(rng: Rng) -> Secret:
    """Return a fresh token of 32 random octets, in base64url."""
    return Secret(base64.urlsafe_b64encode(rng(TOKEN_OCTETS)).rstrip(b"="))


def registration(config: AppServiceConfig, *, url: str) -> str:
    """Return the registration as JSON, which is YAML, too.

    It holds both tokens: whoever reads it can act for every ghost.

    Args:
        config: the account, with its tokens.
        url: where the homeserver reaches our listener.
    """
    server = re.escape(config.server_name)
    prefix = re.escape(config.prefix)
    return json.dumps(
        {
            "id": config.appservice_id,
            "url": url,
            "as_token": config.as_token.reveal_text(),
            "hs_token": config.hs_token.reveal_text(),
            "sender_localpart": config.bot,
            "rate_limited": False,
            "namespaces": {
                "users": [{"exclusive": True, "regex": f"@{prefix}.*:{server}"}],
                "aliases": [],
                "rooms": [],
            },
            "receive_ephemeral": True,  # typing and receipts (spec 1.13)
            "de.sorunome.msc2409.push_ephemeral": True,  # the same for Synapse
            "io.element.msc4190": True,  # devices of ghosts without a login
        },
        indent=2,
    )
