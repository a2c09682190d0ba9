"""The agreement with Meta, as the operator enters it, and what follows without one."""

import re
import tomllib
from dataclasses import dataclass
from typing import Any, Final

from sabir.errors import ConfigInvalid

NAMES: Final = ("reference", "integrator_id", "endpoint", "region", "key_file")
INTEGRATOR_MAX: Final = 65_535
"""An open client codes it in 16 bits; that is all that is known of it."""

UNVERIFIED: Final = (
    "WhatsApp DMA: contract needed, unverified. An agreement with Meta is needed; the "
    "consent flow is built and tested by itself; no wire protocol is built"
)
CONTRACT_UNUSED: Final = (
    "WhatsApp DMA: contract entered, unverified. No wire protocol is built, so nothing "
    "can be switched on yet"
)

_HTTPS: Final = re.compile(r"https://[^\s/]+\.[^\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What an agreement names."""

    reference: str
    integrator_id: int
    endpoint: str
    region: str
    key_file: str


def contract(text: str) -> Contract:
    """Read `contract.toml`.

    Raises:
        ConfigInvalid: something is missing or has a wrong form.
    """
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"contract.toml is not TOML: {error}") from error
    missing = [name for name in NAMES if name not in found]
    if missing:
        raise ConfigInvalid(
            f"contract.toml lacks {', '.join(missing)}; they stand in the agreement"
        )
    integrator = found["integrator_id"]
    if type(integrator) is not int or not 0 < integrator <= INTEGRATOR_MAX:
        raise ConfigInvalid(f"integrator_id has to be a number to {INTEGRATOR_MAX}")
    texts = {name: found[name] for name in NAMES if name != "integrator_id"}
    for name, value in texts.items():
        if not isinstance(value, str) or not value:
            raise ConfigInvalid(f"{name} in contract.toml has to be a text")
    if not _HTTPS.fullmatch(texts["endpoint"]):
        raise ConfigInvalid("endpoint in contract.toml has to begin with https://")
    return Contract(integrator_id=integrator, **texts)


def readiness(agreement: Contract | None) -> str:
    """Return the one line that says how far this is; it never claims a connection."""
    return UNVERIFIED if agreement is None else CONTRACT_UNUSED
