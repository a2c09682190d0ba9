"""`sabir.toml`: read, checked as a whole, and turned into frozen dataclasses.

 * Every problem is reported at once, each with file, line, key and the way out.
 * An unknown key or section is a problem, never ignored.
 * No secret stands in the file; a problem never repeats a value from it.

What a network's account may set is asked of the caller (`SettingsOf`); rooms,
links and the secrets themselves are in the database, not here.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, cast

from sabir.cli.config_keys import ACCOUNTS, SECTIONS, Key, Value
from sabir.cli.paths import (
    SOCKET_PATH_OCTETS_MAX,
    DataDir,
    default_data_dir,
    expand,
)
from sabir.cli.secret_sources import SecretFile, SecretVariable
from sabir.cli.toml_lines import key_lines
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import AccountId, Setting

CONFIG_OCTETS_MAX: Final = 256 * 1024
"""Our choice: a thousand accounts fit."""
ACCOUNTS_MAX: Final = 1_000
"""Our choice; one process would not serve more well."""
PROBLEMS_SHOWN_MAX: Final = 20
"""More than a screen of problems helps nobody."""
ACCOUNT_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
"""Account ids appear in commands, logs and idempotency keys."""
SettingsOf = Callable[[str], Sequence[Setting]]
"""Return the settings of a network; raises ConfigInvalid if there is none such."""


# ---- what it says


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSection:
    """`[agent]`."""

    owner: str
    data_dir: DataDir
    control_socket: Path
    media_spool_bytes_max: int
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["console", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsSection:
    """`[secrets]`."""

    store: Literal["file", "keyring"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSection:
    """`[limits]`."""

    media_file_bytes_max: int
    raw_event_keep_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSection:
    """`[accounts.<id>]`: one login, its secrets not yet read."""

    id: AccountId
    network: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    secret_sources: Mapping[str, SecretFile | SecretVariable] = field(
        default_factory=dict
    )

    def read_secrets(self, environ: Mapping[str, str]) -> dict[str, Secret]:
        """Read the secrets from the files and variables the section names.

        Raises:
            ConfigInvalid: one of them is not there.
        """
        return {
            name: source.read()
            if isinstance(source, SecretFile)
            else source.read(environ)
            for name, source in self.secret_sources.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole `sabir.toml`, checked."""

    agent: AgentSection
    secrets: SecretsSection
    limits: LimitsSection
    accounts: Mapping[AccountId, AccountSection]


# ---- reading


def load_config(
    path: Path, *, environ: Mapping[str, str], home: Path, settings_of: SettingsOf
) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigInvalid: with every problem found, one a line.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(CONFIG_OCTETS_MAX + 1)
    except FileNotFoundError:
        raise ConfigInvalid(
            f"There is no configuration at {path}: run `sabir init`, or name the"
            " file with --config."
        ) from None
    except OSError as error:
        raise ConfigInvalid(
            f"{path} cannot be read ({error.strerror}): correct its owner or mode."
        ) from error
    if len(octets) > CONFIG_OCTETS_MAX:
        raise ConfigInvalid(
            f"{path} is larger than {CONFIG_OCTETS_MAX} octets: this cannot be the"
            " configuration; name the right file with --config."
        )
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigInvalid(
            f"{path} line {line}: not UTF-8; save the file in that encoding."
        ) from None
    return parse_config(
        text, file=path, environ=environ, home=home, settings_of=settings_of
    )


def parse_config(
    text: str,
    *,
    file: Path,
    environ: Mapping[str, str],
    home: Path,
    settings_of: SettingsOf,
) -> Config:
    """Check a configuration's text.

    Args:
        text: the TOML document.
        file: where it came from; relative paths in it start at its directory.
        environ: for `$XDG_DATA_HOME`.
        home: for `~/`.
        settings_of: says what an account of a network may set.

    Raises:
        ConfigInvalid: with every problem found, one a line.
    """
    document, lines = _parse_toml(text, file)
    reader = _Reader(file=file, home=home, lines=lines, settings_of=settings_of)
    for name in document:
        if name not in SECTIONS and name != ACCOUNTS:
            known = (*SECTIONS, ACCOUNTS)
            reader.problem((name,), f'unknown section "{name}"', near=(name, known))
    values = {name: reader.section(document, name) for name in SECTIONS}
    accounts = reader.accounts(document)
    fallback = default_data_dir(environ=environ, home=home)
    places = reader.places(values["agent"], fallback=fallback)
    reader.finish()
    return Config(
        agent=AgentSection(**(values["agent"] | places)),
        secrets=SecretsSection(**values["secrets"]),
        limits=LimitsSection(**values["limits"]),
        accounts=accounts,
    )


def _parse_toml(
    text: str, file: Path
) -> tuple[dict[str, object], Mapping[tuple[str, ...], int]]:
    try:
        return tomllib.loads(text), key_lines(text)
    except tomllib.TOMLDecodeError as error:
        what, place = _split_place(str(error))
        raise ConfigInvalid(f"{file} {place}: not valid TOML: {what}") from None
    except RecursionError:
        raise ConfigInvalid(
            f"{file}: nested too deeply; Sabir's configuration has two levels."
        ) from None


def _split_place(message: str) -> tuple[str, str]:
    """Take "what (at line 3, column 5)" of `tomllib` apart."""
    match = re.fullmatch(r"(.*) \(at (.*)\)", message, re.DOTALL)
    return (match[1], match[2]) if match else (message, "")


class _Reader:
    """Walks a parsed document and collects its problems."""

    def __init__(
        self,
        *,
        file: Path,
        home: Path,
        lines: Mapping[tuple[str, ...], int],
        settings_of: SettingsOf,
    ) -> None:
        self._file = file
        self._home = home
        self._lines = lines
        self._settings_of = settings_of
        self._problems: list[tuple[int, str]] = []

    def problem(
        self,
        path: tuple[str, ...],
        what: str,
        *,
        near: tuple[str, Iterable[str]] | None = None,
    ) -> None:
        """Note a problem with the thing at `path`, and the nearest valid word."""
        line = self._line(path)
        hint = _did_you_mean(*near) if near else ""
        where = f"{self._file} line {line}" if line else f"{self._file}"
        self._problems.append((line, f"{where}: {what}{hint}"))

    def finish(self) -> None:
        """Raise what was found, in the order of the file."""
        if not self._problems:
            return
        found = [text for _, text in sorted(self._problems, key=lambda each: each[0])]
        shown = found[:PROBLEMS_SHOWN_MAX]
        if len(found) > len(shown):
            shown.append(f"... and {len(found) - len(shown)} more")
        raise ConfigInvalid("\n".join(shown))

    # ---- the fixed sections

    def section(self, document: Mapping[str, object], name: str) -> dict[str, Any]:
        """Return a section's values by key, defaults included."""
        table = self._table(document.get(name, {}), (name,))
        keys = {key.name: key for key in SECTIONS[name]}
        for given in table:
            if given not in keys:
                what = f'unknown key "{given}" in [{name}]'
                self.problem((name, given), what, near=(given, keys))
        values: dict[str, Value] = {}
        for key in keys.values():
            if key.name in table:
                value = self._value(table[key.name], key, (name, key.name))
            else:
                value = key.default
                if key.required:
                    self._missing(key.name, key.about, (name,))
            if value is not None:
                values[key.name] = value
        return values

    def places(
        self, agent: Mapping[str, Value], *, fallback: Path
    ) -> dict[str, DataDir | Path]:
        """Return the paths of `[agent]`; those not given depend on each other."""
        data_dir = DataDir(self._path(agent.get("data_dir")) or fallback)
        given = self._path(agent.get("control_socket"))
        socket = given or data_dir.control_socket
        octets = len(os.fsencode(socket))
        if octets > SOCKET_PATH_OCTETS_MAX:
            self.problem(
                ("agent", "control_socket"),
                f"the control socket's path has {octets} octets, and Linux allows"
                f" {SOCKET_PATH_OCTETS_MAX}: set control_socket in [agent] to a"
                " shorter one, such as one under /run",
            )
        return {"data_dir": data_dir, "control_socket": socket}

    def _path(self, value: Value | None) -> Path | None:
        if value is None:
            return None
        return expand(str(value), base=self._file.parent, home=self._home)

    # ---- accounts

    def accounts(
        self, document: Mapping[str, object]
    ) -> dict[AccountId, AccountSection]:
        """Return the accounts by id."""
        table = self._table(document.get(ACCOUNTS, {}), (ACCOUNTS,))
        if len(table) > ACCOUNTS_MAX:
            self.problem(
                (ACCOUNTS,),
                f"{len(table)} accounts, and one agent runs at most {ACCOUNTS_MAX}:"
                " run a second agent with its own file",
            )
            return {}
        found = (self._account(name, value) for name, value in table.items())
        return {account.id: account for account in found if account}

    def _account(self, name: str, value: object) -> AccountSection | None:
        path = (ACCOUNTS, name)
        if not ACCOUNT_ID.fullmatch(name):
            self.problem(
                path,
                f'"{name}" cannot be an account\'s id: use 1 to 32 of a-z, 0-9 and'
                ' "-", beginning with a letter',
            )
        if not isinstance(value, dict):
            self.problem(path, f"an account is a section: write [accounts.{name}]")
            return None
        table = dict(value)
        network = table.pop("network", None)
        if not isinstance(network, str):
            self.problem(
                (*path, "network") if network is not None else path,
                f'[accounts.{name}] needs network = "...", the network\'s name',
            )
            return None
        try:
            settings = self._settings_of(network)
        except ConfigInvalid as error:
            self.problem((*path, "network"), str(error))
            return None
        return _AccountReader(self, name, settings).read(network, table)

    # ---- shared

    def checked(
        self, value: object, setting: Setting, path: tuple[str, ...]
    ) -> Value | None:
        """Check a network's setting like a key of ours."""
        key = Key(
            name=setting.name,
            about=setting.about,
            kind=setting.kind,
            choices=setting.choices,
        )
        return self._value(value, key, path)

    def source_path(self, text: str) -> Path:
        """Read the path of a secret file."""
        return expand(text, base=self._file.parent, home=self._home)

    def missing_setting(self, setting: Setting, path: tuple[str, ...]) -> None:
        """Note that an account lacks a setting."""
        self._missing(setting.name, setting.about, path)

    def _missing(self, name: str, about: str, path: tuple[str, ...]) -> None:
        self.problem(path, f'[{".".join(path)}] lacks "{name}": {about}')

    def _table(self, value: object, path: tuple[str, ...]) -> Mapping[str, object]:
        if isinstance(value, dict):
            return value
        self.problem(path, f'"{path[-1]}" is a section: write [{path[-1]}]')
        return {}

    def _value(self, value: object, key: Key, path: tuple[str, ...]) -> Value | None:
        """Return a value that passed every check of its key, or None."""
        named = f'"{key.name}" in [{".".join(path[:-1])}]'
        # bool is a subclass of int: compare types exactly.
        if type(value) is not key.kind:
            self.problem(path, f"{named} must be {_KIND_WORDS[key.kind]}")
            return None
        checked = cast("Value", value)
        if key.choices and checked not in key.choices:
            allowed = ", ".join(f'"{choice}"' for choice in key.choices)
            what = f"{named} must be one of {allowed}"
            self.problem(path, what, near=(str(checked), key.choices))
            return None
        if key.pattern and not key.pattern.fullmatch(str(checked)):
            self.problem(path, f"{named} has the wrong form. {key.about}")
            return None
        if key.kind is int and not _within(int(checked), key):
            self.problem(path, f"{named} must be from {key.least} to {key.most}")
            return None
        if checked == "":
            self.problem(path, f"{named} is empty: give a value or remove the line")
            return None
        if not str(checked).isprintable():
            self.problem(path, f"{named} has control characters: remove them")
            return None
        return checked

    def _line(self, path: tuple[str, ...]) -> int:
        """Return the line of the thing, or of what encloses it; 0 if neither."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 0


class _AccountReader:
    """Reads one `[accounts.<id>]` by its network's settings."""

    def __init__(
        self, reader: _Reader, account: str, settings: Sequence[Setting]
    ) -> None:
        self._reader = reader
        self._path = (ACCOUNTS, account)
        self._account = account
        self._settings = {setting.name: setting for setting in settings}
        self._sources: dict[str, SecretFile | SecretVariable] = {}

    def read(self, network: str, table: Mapping[str, object]) -> AccountSection:
        """Return the account; what is wrong with it is noted."""
        values: dict[str, Value] = {}
        for name, value in table.items():
            setting = self._settings.get(name)
            if setting is None:
                self._source(name, value)
            elif setting.secret:
                self._secret_in_file(name)
            else:
                checked = self._reader.checked(value, setting, (*self._path, name))
                if checked is not None:
                    values[name] = checked
        for setting in self._settings.values():
            if setting.secret or setting.name in table:
                continue
            if setting.default is not None:
                values[setting.name] = setting.default
            elif setting.required:
                self._reader.missing_setting(setting, self._path)
        return AccountSection(
            id=AccountId(self._account),
            network=network,
            settings=values,
            secret_sources=self._sources,
        )

    def _source(self, name: str, value: object) -> None:
        """Take `<secret>_file` and `<secret>_env`."""
        path = (*self._path, name)
        secret, _, way = name.rpartition("_")
        setting = self._settings.get(secret)
        if setting is None or not setting.secret or way not in {"file", "env"}:
            what = f'unknown key "{name}" in [accounts.{self._account}]'
            self._reader.problem(path, what, near=(name, self._words()))
        elif not isinstance(value, str) or not value:
            kind = "path of a file" if way == "file" else "name of a variable"
            self._reader.problem(path, f'"{name}" must be text: the {kind}')
        elif secret in self._sources:
            self._reader.problem(
                path,
                f'"{secret}" is given twice: keep one of {secret}_file, {secret}_env',
            )
        elif way == "file":
            self._sources[secret] = SecretFile(self._reader.source_path(value))
        else:
            self._sources[secret] = SecretVariable(value)

    def _secret_in_file(self, name: str) -> None:
        self._reader.problem(
            (*self._path, name),
            f'"{name}" is a secret and does not belong in this file: remove the line'
            " and run `sabir account add`, which keeps it encrypted; or, unattended,"
            f" use {name}_file or {name}_env. Renew it if others could read the file",
        )

    def _words(self) -> list[str]:
        words = ["network"]
        for setting in self._settings.values():
            if setting.secret:
                words += [f"{setting.name}_file", f"{setting.name}_env"]
            else:
                words.append(setting.name)
        return words


_KIND_WORDS: Final[Mapping[type, str]] = {
    str: 'text in quotes, such as "this"',
    int: "a whole number without quotes",
    bool: "true or false, without quotes",
}


def _within(value: int, key: Key) -> bool:
    return (key.least is None or key.least <= value) and (
        key.most is None or value <= key.most
    )


def _did_you_mean(word: str, valid: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, tuple(valid), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""
