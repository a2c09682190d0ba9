"""What the daemon's answers mean. Pure.

Nothing that a daemon wrote is passed on as it is: its texts hold phone numbers.
Source: signal-cli's `JsonRpcResponse` and `SendMessageResultUtils`: `results` stand in
the result if one recipient or more was reached, else in `error.data.response`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from sabir.networks.api import PersonId
from sabir.networks.signal import names

RETRY_MS_MAX: Final = 24 * 3_600_000
"""The longest wait that Signal has been seen to ask for: a day."""
LIMIT_MS_DEFAULT: Final = 60_000
"""A limit that comes without a time."""

UNLINKED: Final = (
    "Signal does not know this device any more: it was removed on the phone, or not"
    " seen for a month; run `sabir account add` for this account again and scan the"
    " code"
)
NOT_HELD: Final = (
    "the daemon does not hold this Signal account; run `sabir account add` for it"
    " again, or start the daemon with the data folder that it was linked in"
)
CAPTCHA: Final = (
    "Signal limits this account and wants to see that a person is at work; nothing more"
    " is sent for now, what waits is kept. Write something with Signal on the phone, or"
    " answer the captcha with the daemon's submitRateLimitChallenge"
)
LIMIT: Final = "Signal limits how fast this account may send; what waits is kept"


class Kind(IntEnum):
    """JSON-RPC codes and signal-cli's own."""

    NO_METHOD = -32601
    BAD_PARAMETERS = -32602
    UNEXPECTED = -32603
    USER = -1
    INPUT_OUTPUT = -3
    UNTRUSTED = -4
    LIMITED = -5
    CAPTCHA_REJECTED = -6


class RpcError(Exception):
    """The daemon answered with an error.

    Its text is not ours to show or to log: it may name a phone number.
    """

    def __init__(self, code: int, text: str, data: object) -> None:
        super().__init__(f"the daemon answered with the error {code}")
        self.code = code
        self.text = text
        self.data = data


@dataclass(frozen=True, slots=True, kw_only=True)
class Never:
    """Refused for good."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Nothing was sent; try again."""

    detail: str
    retry_after_ms: int | None = None
    pauses_account: bool = False
    """A limit: nothing else may be sent meanwhile either."""
    is_unexplained: bool = False
    """It may never work: to be tried a few times only."""


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Somebody's key has changed; nothing was sent."""

    people: tuple[PersonId, ...]


@dataclass(frozen=True, slots=True)
class Unlinked:
    """The account is gone; its owner must link it again."""

    detail: str


Verdict = Never | Later | Untrusted | Unlinked


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """It went out, to somebody at least."""

    sent_at: int | None
    """Time by which the message is named."""
    lost: tuple[str, ...] = ()
    pause_ms: int = 0
    """How long nothing more may be sent: some of the group were limited."""


def accepted(result: object) -> Accepted:
    """Read the result of a send."""
    answer = result if isinstance(result, Mapping) else {}
    entries = _entries(answer)
    return Accepted(
        sent_at=names.timestamp(answer.get("timestamp")),
        lost=_missed(entries),
        pause_ms=_wait_ms(entries) if _has(entries, "RATE_LIMIT_FAILURE") else 0,
    )


def judge(error: RpcError) -> Verdict:
    """Say what an error means for the message."""
    data = error.data if isinstance(error.data, Mapping) else {}
    response = data.get("response")
    entries = _entries(response if isinstance(response, Mapping) else {})
    if entries:
        return _of_results(entries)
    match error.code:
        case Kind.UNTRUSTED:
            return Untrusted(())
        case Kind.LIMITED:
            return _limited(entries)
        case Kind.INPUT_OUTPUT:
            return Later(detail="the daemon cannot reach Signal")
        case Kind.NO_METHOD:
            return Never(reason="this signal-cli is too old for this; upgrade it")
        case Kind.BAD_PARAMETERS if "account" in error.text:
            return Unlinked(NOT_HELD)
        case Kind.USER:
            return _of_text(error.text)
        case Kind.UNEXPECTED if "AttachmentInvalid" in error.text:
            return Never(
                reason="the daemon cannot read the file: files_dir must be a folder"
                " that both Sabir and the daemon can read"
            )
        case _:
            return Later(
                detail=f"the daemon answered with the error {error.code}; its log says"
                " why",
                is_unexplained=True,
            )


def _of_text(text: str) -> Verdict:
    """Tell signal-cli's user errors apart, which share one code."""
    if text.startswith("User ") and "is not registered" in text:
        return Unlinked(UNLINKED)
    if "is not registered" in text:
        return Never(reason=_NOT_REGISTERED)
    if "not a group member" in text or "Group not found" in text:
        return Never(
            reason="this account is not a member of the Signal group any more; let"
            " somebody in it add you again"
        )
    if "only admins" in text.lower() or "ANNOUNCEMENT" in text:
        return Never(reason="in this Signal group only administrators may write")
    return Never(
        reason="the daemon refuses it (a user error); its log says why, without which"
        " nothing can be said here"
    )


_NOT_REGISTERED: Final = (
    "this person is not registered on Signal any more (a new number, or Signal was"
    " removed); reach them in another way"
)


def _of_results(entries: Sequence[Mapping[str, Any]]) -> Verdict:
    if _has(entries, "RATE_LIMIT_FAILURE"):
        return _limited(entries)
    if _has(entries, "IDENTITY_FAILURE"):
        who = (_person(e) for e in entries if e.get("type") == "IDENTITY_FAILURE")
        return Untrusted(tuple(person for person in who if person is not None))
    if _has(entries, "NETWORK_FAILURE"):
        return Later(detail="the daemon cannot reach Signal")
    if _has(entries, "INVALID_PRE_KEY_FAILURE"):
        return Later(
            detail="a device of this person has not been online for a while",
            is_unexplained=True,
        )
    return Never(reason=_NOT_REGISTERED)


def _limited(entries: Sequence[Mapping[str, Any]]) -> Later:
    return Later(
        detail=CAPTCHA if any(e.get("token") for e in entries) else LIMIT,
        retry_after_ms=_wait_ms(entries),
        pauses_account=True,
    )


def _wait_ms(entries: Sequence[Mapping[str, Any]]) -> int:
    waits = [
        int(seconds * 1000)
        for entry in entries
        if isinstance(seconds := entry.get("retryAfterSeconds"), int | float)
        and not isinstance(seconds, bool)
        and 0 < seconds < RETRY_MS_MAX
    ]
    return min(max(waits, default=LIMIT_MS_DEFAULT), RETRY_MS_MAX)


def _entries(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    results = answer.get("results")
    return [
        each
        for each in (results if isinstance(results, list) else ())
        if isinstance(each, Mapping)
    ]


def _has(entries: Sequence[Mapping[str, Any]], kind: str) -> bool:
    return any(entry.get("type") == kind for entry in entries)


def _person(entry: Mapping[str, Any]) -> PersonId | None:
    address = entry.get("recipientAddress")
    return names.person_id(address.get("uuid") if isinstance(address, dict) else None)


_WHY: Final = {
    "NETWORK_FAILURE": "could not be reached",
    "UNREGISTERED_FAILURE": "is not on Signal any more",
    "IDENTITY_FAILURE": "has a new safety number that was not compared yet",
    "RATE_LIMIT_FAILURE": "was kept back by a limit of Signal",
    "INVALID_PRE_KEY_FAILURE": "has a device that was not online for a while",
}


def _missed(entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a phrase for each reason why members of a group did not get it."""
    kinds = Counter(str(e.get("type")) for e in entries if e.get("type") != "SUCCESS")
    return tuple(
        f"{count} of {len(entries)} did not get it: each {_WHY.get(kind, 'failed')}"
        for kind, count in sorted(kinds.items())
    )
