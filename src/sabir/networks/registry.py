"""Which networks are installed, and whether an account's settings fit one.

Networks are found by the entry-point group `sabir.networks`, ours like anybody
else's. One broken plug-in hides no other: it becomes a `Broken` that says what
to do. Nothing is imported before it is asked for.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account, AccountId, Network, Setting

GROUP: Final = "sabir.networks"
OWN_DISTRIBUTION: Final = "sabir"
"""Its networks win over others of the same name."""

Value = str | int | bool

_PARTS: Final = ("name", "label", "settings", "connector", "login")
_KINDS: Final = {str: "a text", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A plug-in that cannot be used."""

    name: str
    distribution: str
    """What to uninstall or to upgrade."""
    reason: str
    way_out: str

    def __str__(self) -> str:
        """Return all of it in one sentence."""
        return (
            f"network '{self.name}' of distribution '{self.distribution}' cannot be "
            f"used: {self.reason}; {self.way_out}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What `survey` found."""

    networks: Mapping[str, Network]
    broken: tuple[Broken, ...]


# ---- finding networks


def survey(points: Iterable[EntryPoint] | None = None) -> Installed:
    """Load every installed network and say which ones cannot be used.

    Args:
        points: entry points to look at; all of the group if None.
    """
    networks: dict[str, Network] = {}
    broken: list[Broken] = []
    for point in _in_order(points):
        found = (
            _hidden(point, networks[point.name])
            if point.name in networks
            else _load(point)
        )
        if isinstance(found, Broken):
            broken.append(found)
        else:
            networks[point.name] = found
    return Installed(networks=networks, broken=tuple(broken))


def networks(points: Iterable[EntryPoint] | None = None) -> Mapping[str, Network]:
    """Return every network that works, by name; `survey` tells of the others."""
    return survey(points).networks


def broken_plugins(points: Iterable[EntryPoint] | None = None) -> tuple[Broken, ...]:
    """Return what is installed and cannot be used."""
    return survey(points).broken


def network(name: str, points: Iterable[EntryPoint] | None = None) -> Network:
    """Return one network; load only that.

    Raises:
        ConfigInvalid: there is none of this name (the nearest one is named), or
            it cannot be used (reason and way out are named).
    """
    ordered = _in_order(points)
    candidates = [point for point in ordered if point.name == name]
    if not candidates:
        known = sorted({point.name for point in ordered})
        raise ConfigInvalid(f"there is no network '{name}'; {_advice(name, known)}")
    failures: list[Broken] = []
    for point in candidates:
        found = _load(point)
        if not isinstance(found, Broken):
            return found
        failures.append(found)
    raise ConfigInvalid("; ".join(str(failure) for failure in failures))


def _in_order(points: Iterable[EntryPoint] | None) -> list[EntryPoint]:
    """Sort so that the result depends on what is installed, not on the disk."""
    chosen = entry_points(group=GROUP) if points is None else points
    return sorted(
        chosen,
        key=lambda point: (
            point.name,
            _distribution(point) != OWN_DISTRIBUTION,
            _distribution(point),
        ),
    )


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown"


def _load(point: EntryPoint) -> Network | Broken:
    try:
        found = point.load()
    except Exception as error:  # noqa: BLE001  # foreign code runs here: it may raise anything, and must hide no other network
        return _broken(
            point,
            f"importing {point.value} raised {type(error).__name__}: {error}",
            "install what it needs, upgrade it, or uninstall it",
        )
    missing = [part for part in _PARTS if not hasattr(found, part)]
    if missing:
        return _broken(
            point,
            f"{point.value} lacks {', '.join(missing)}",
            "upgrade it to a version for this version of Sabir, or uninstall it",
        )
    if found.name != point.name:
        return _broken(
            point,
            f"it calls itself '{found.name}'",
            "its author must give entry point and network one name; uninstall it",
        )
    return cast(Network, found)


def _broken(point: EntryPoint, reason: str, way_out: str) -> Broken:
    return Broken(
        name=point.name,
        distribution=_distribution(point),
        reason=reason,
        way_out=way_out,
    )


def _hidden(point: EntryPoint, other: Network) -> Broken:
    return _broken(
        point,
        f"another distribution offers '{other.name}' ({other.label}) too",
        "uninstall one of them",
    )


# ---- checking an account


def check_account(
    network: Network,
    *,
    id: AccountId,  # noqa: A002  # the field's name in `Account`
    settings: Mapping[str, object],
    secrets: Mapping[str, Secret] | None = None,
) -> Account:
    """Return an account whose settings and secrets are those of its network.

    Raises:
        ConfigInvalid: names the setting and a valid form.
    """
    return Account(
        id=id,
        network=network.name,
        settings=check_settings(network, settings),
        secrets=check_secrets(network, secrets or {}),
    )


def check_settings(
    network: Network, settings: Mapping[str, object]
) -> dict[str, Value]:
    """Return an account's settings, complete with defaults.

    Args:
        network: whose settings they are.
        settings: as read from the configuration, without the secrets.

    Raises:
        ConfigInvalid: an unknown name (the nearest one is named), a missing one,
            a wrong type, a choice that there is not, or a secret in the open.
    """
    problems = _Problems(network)
    wanted = {setting.name: setting for setting in network.settings}
    for name in settings:
        setting = wanted.get(name)
        if setting is None:
            problems.unknown(name, wanted)
        elif setting.secret:
            problems.add(f"'{name}' is a secret: it may not stand in the configuration")
    checked: dict[str, Value] = {}
    for setting in network.settings:
        if setting.secret:
            continue
        if setting.name not in settings:
            problems.absent(setting, checked)
        else:
            problems.check(setting, settings[setting.name], checked)
    problems.end()
    return checked


def check_secrets(
    network: Network, secrets: Mapping[str, Secret]
) -> Mapping[str, Secret]:
    """Return an account's secrets.

    Raises:
        ConfigInvalid: an unknown name, or a missing one.
    """
    problems = _Problems(network)
    wanted = {setting.name: setting for setting in network.settings if setting.secret}
    for name in secrets:
        if name not in wanted:
            problems.unknown(name, wanted)
    for setting in wanted.values():
        if setting.required and setting.name not in secrets:
            problems.add(f"the secret '{setting.name}' is missing: {setting.about}")
    problems.end()
    return dict(secrets)


@dataclass(slots=True)
class _Problems:
    """Collects what is wrong, so that a person sees all of it at once."""

    network: Network
    found: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        self.found.append(problem)

    def unknown(self, name: str, wanted: Iterable[str]) -> None:
        self.add(f"there is no setting '{name}'; {_advice(name, sorted(wanted))}")

    def absent(self, setting: Setting, checked: dict[str, Value]) -> None:
        if setting.default is not None:
            checked[setting.name] = setting.default
        elif setting.required:
            self.add(f"'{setting.name}' is missing: {setting.about}")

    def check(self, setting: Setting, value: object, checked: dict[str, Value]) -> None:
        # `type(...) is`, because True is an int to isinstance.
        if type(value) is not setting.kind:
            kind = _KINDS[setting.kind]
            self.add(f"'{setting.name}' must be {kind}: {setting.about}")
        elif setting.choices and value not in setting.choices:
            advice = _advice(str(value), setting.choices)
            self.add(f"'{setting.name}' cannot be '{value}'; {advice}")
        else:
            checked[setting.name] = cast(Value, value)

    def end(self) -> None:
        if self.found:
            raise ConfigInvalid(
                f"account of network '{self.network.name}': {'; '.join(self.found)}"
            )


def _advice(word: str, valid: Iterable[str]) -> str:
    """Name the nearest valid word, and all of them if none is near."""
    words = list(valid)
    if not words:
        return "there is nothing to choose from"
    near = difflib.get_close_matches(word, words, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return "valid are " + ", ".join(f"'{valid_word}'" for valid_word in words)
