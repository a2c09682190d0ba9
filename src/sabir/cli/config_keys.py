"""What `sabir.toml` may say: every key of its fixed sections, and an example of it.

The keys of `[accounts.<id>]` belong to the account's network.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

OWNER: Final = re.compile(r"[a-z0-9-]{1,32}")
"""The owner's name becomes a part of URIs."""

Value = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a fixed section."""

    name: str
    about: str
    kind: type = str
    default: Value | None = None
    """None: required, or (paths) computed, see `about`."""
    required: bool = False
    least: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None


AGENT_KEYS: Final = (
    Key(
        name="owner",
        about="Short name of the person this agent works for:"
        " 1 to 32 of a-z, 0-9 and `-`. Becomes a part of URIs.",
        required=True,
        pattern=OWNER,
    ),
    Key(
        name="data_dir",
        about="Directory of the database, the key and files on their way."
        " Relative to this file; `~/` is the home directory."
        " Without it: `$XDG_DATA_HOME/sabir`, normally `~/.local/share/sabir`.",
    ),
    Key(
        name="control_socket",
        about="Unix socket by which commands reach the running agent;"
        " at most 107 octets. Without it: `control.sock` in `data_dir`.",
    ),
    Key(
        name="media_spool_bytes_max",
        about="All files on their way together; over it the oldest go first.",
        kind=int,
        default=20 * 1024**3,
        least=1024**2,
        most=1024**5,
    ),
    Key(
        name="log_level",
        about="Least level that is logged.",
        default="info",
        choices=("debug", "info", "warning", "error"),
    ),
    Key(
        name="log_format",
        about="`console` for people, `json` for machines.",
        default="console",
        choices=("console", "json"),
    ),
)
SECRETS_KEYS: Final = (
    Key(
        name="store",
        about="Where the owner's key is kept: `file` is `key` in `data_dir`, with"
        " mode 0600; `keyring` is the system's keyring (needs `sabir[keyring]`).",
        default="file",
        choices=("file", "keyring"),
    ),
)
LIMITS_KEYS: Final = (
    Key(
        name="media_file_bytes_max",
        about="One file fetched from a network; a larger one is replaced by a note.",
        kind=int,
        default=2 * 1024**3,
        least=1024,
        most=1024**4,
    ),
    Key(
        name="raw_event_keep_days",
        about="How long native events stay in the database after they are"
        " understood, so that a later version can read them again.",
        kind=int,
        default=30,
        least=1,
        most=3650,
    ),
)
SECTIONS: Final[Mapping[str, tuple[Key, ...]]] = {
    "agent": AGENT_KEYS,
    "secrets": SECRETS_KEYS,
    "limits": LIMITS_KEYS,
}
ACCOUNTS: Final = "accounts"


def config_example(*, owner: str = "alice", data_dir: str | None = None) -> str:
    """Return the text of a new `sabir.toml`: every key, defaults as comments.

    Args:
        owner: value of `owner`.
        data_dir: value of `data_dir`; None leaves it at its default.
    """
    given: dict[str, Value] = {"owner": owner}
    if data_dir is not None:
        given["data_dir"] = data_dir
    parts = [_EXAMPLE_HEAD]
    for name, keys in SECTIONS.items():
        parts.append(f"[{name}]\n" + "\n".join(_example(key, given) for key in keys))
    parts.append(_EXAMPLE_ACCOUNTS)
    return "\n".join(parts)


def _example(key: Key, given: Mapping[str, Value]) -> str:
    about = key.about.replace("`", "")
    if key.name in given:
        return f"# {about}\n{key.name} = {_toml(given[key.name])}\n"
    shown = '"..."' if key.default is None else _toml(key.default)
    return f"# {about}\n# {key.name} = {shown}\n"


def _toml(value: Value) -> str:
    """Write a value; JSON's texts are TOML's, but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_EXAMPLE_HEAD: Final = """\
# Sabir's configuration. `sabir config check` says whether it is right.
# What is commented out shows the default. No secrets in this file.
"""
_EXAMPLE_ACCOUNTS: Final = """\
# Accounts are added with `sabir account add`, which keeps their secrets encrypted
# in the database. An unattended set-up may name one here instead; its secrets come
# from a file (<name>_file) or a variable of the environment (<name>_env):
#
# [accounts.work]
# network = "..."
"""
