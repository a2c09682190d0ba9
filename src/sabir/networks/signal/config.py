"""The settings of a Signal account, checked."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sabir.errors import ConfigInvalid
from sabir.networks.api import Account, PersonId, Setting
from sabir.networks.signal import endpoint as endpoints
from sabir.networks.signal import names
from sabir.networks.signal.endpoint import Endpoint

_NUMBER: Final = re.compile(r"\+[1-9]\d{5,14}")

SETTINGS: Final = (
    Setting(
        name="endpoint",
        about="where the signal-cli daemon listens: unix:/path, tcp:127.0.0.1:7583 or"
        " http://127.0.0.1:8080",
        required=False,
        default=endpoints.DEFAULT,
    ),
    Setting(name="number", about="phone number of the account, +4915112345678"),
    Setting(
        name="aci",
        about="account id of the owner, a UUID; asked for when it is empty",
        required=False,
        default="",
    ),
    Setting(
        name="files_dir",
        about="folder that Sabir may write and the daemon may read, for files over"
        " 8 MiB",
        required=False,
        default="",
    ),
    Setting(
        name="read_receipts",
        about="tell people on Signal when their messages were read on other networks",
        kind=bool,
        required=False,
        default=False,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalConfig:
    """What the connector needs to know."""

    endpoint: Endpoint
    number: str
    aci: PersonId | None = None
    files_dir: Path | None = None
    read_receipts: bool = False


def account_config(account: Account) -> SignalConfig:
    """Check an account's settings.

    Raises:
        ConfigInvalid: names the setting and a valid form.
    """
    settings = account.settings
    number = str(settings.get("number", ""))
    if not _NUMBER.fullmatch(number):
        # The value is not shown: it may be a number with a typing mistake.
        raise ConfigInvalid(
            "number is no phone number in international form; write it like"
            " +4915112345678"
        )
    aci = str(settings.get("aci", ""))
    if aci and names.person_id(aci) is None:
        raise ConfigInvalid("aci is no account id; leave it out, or write the UUID")
    return SignalConfig(
        endpoint=endpoints.endpoint(str(settings.get("endpoint", endpoints.DEFAULT))),
        number=number,
        aci=names.person_id(aci),
        files_dir=folder(str(settings.get("files_dir", ""))),
        read_receipts=settings.get("read_receipts") is True,
    )


def folder(text: str) -> Path | None:
    """Return a folder's path, None if there is none.

    Raises:
        ConfigInvalid: not a full path.
    """
    if not text.strip():
        return None
    path = Path(text.strip()).expanduser()
    if not path.is_absolute():
        raise ConfigInvalid(
            f"files_dir = {text!r} is no full path; the daemon has another working"
            " folder, so write it from / on"
        )
    return path
