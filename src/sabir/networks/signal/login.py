"""How a person adds a Signal account: a daemon, then a code to scan with the phone.

The same dialogue, run again, shows changed safety numbers and takes the owner's
decision about each: no front end needs to know what a safety number is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sabir.errors import ConfigInvalid, CredentialsRefused, LocalError, Unavailable
from sabir.networks.login import Ask, Done, Field, ShowCode, Step
from sabir.networks.signal import endpoint as endpoints
from sabir.networks.signal import names
from sabir.networks.signal.config import folder
from sabir.networks.signal.connector import read_own_id
from sabir.networks.signal.endpoint import Endpoint
from sabir.networks.signal.envelope import display_name
from sabir.networks.signal.rpc import Conversation
from sabir.networks.signal.text import one_line
from sabir.networks.signal.verdicts import UNLINKED, Kind, RpcError, Unlinked, judge

DEVICE_NAME: Final = "Sabir"
CODE_S: Final = 60
"""How long a phone has to scan; signal-cli gives up after about as long."""
SCAN_S: Final = 120.0
CODES_MAX: Final = 3
ANOTHER: Final = "link another phone"
YES: Final = "yes"
NO: Final = "no"
LATER: Final = "decide later"
SAME: Final = "we compared it: it is the same"
UNSEEN: Final = "accept it without comparing"

_DAEMON: Final = Ask(
    title="Signal is reached through a signal-cli daemon on this machine. Start it with"
    " `signal-cli daemon --tcp 127.0.0.1:7583 --receive-mode=manual --ignore-stories`",
    fields=(
        Field(
            name="endpoint",
            label="The daemon's address",
            help="unix:/path, tcp:127.0.0.1:7583 or http://127.0.0.1:8080",
            default=endpoints.DEFAULT,
        ),
        Field(
            name="files_dir",
            label="Folder for files over 8 MiB",
            help="Sabir writes, the daemon reads; empty: no such files",
        ),
        Field(
            name="read_receipts",
            label="Tell people on Signal that their messages were read",
            choices=(NO, YES),
            default=NO,
        ),
    ),
)
_SCAN: Final = (
    "On your phone: Signal > Settings > Linked devices > + ; scan the code and confirm."
    " Whoever scans it links their account to this machine: show it to nobody."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changed:
    """Somebody's key that nobody has accepted yet."""

    person: str
    name: str
    safety_number: str


class SignalLogin:
    """One login in progress (see `LoginFlow`)."""

    def __init__(self) -> None:
        self._step: Step = _DAEMON
        self._settings: dict[str, str | int | bool] = {}
        self._talk: Conversation | None = None
        self._uri = ""
        self._finishing = 0
        self._codes = 0
        self._number = ""
        self._changed: list[_Changed] = []

    async def begin(self) -> Step:
        """Return the first step."""
        return self._step

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Take the answers to the last step and return the next."""
        if isinstance(self._step, Done):
            raise LocalError("a login was answered after its end")
        try:
            self._step = await self._next(values)
        except RpcError as error:
            raise _trouble(error) from error
        return self._step

    async def close(self) -> None:
        """Close the connection."""
        if self._talk is not None:
            self._talk.close()

    async def _next(self, values: Mapping[str, str]) -> Step:
        if self._step is _DAEMON:
            return await self._connect(values)
        if isinstance(self._step, ShowCode):
            return await self._scanned()
        if self._changed:
            return await self._decided(values.get("decision", LATER))
        return await self._chosen(values)

    def _daemon(self) -> Conversation:
        if self._talk is None:
            raise LocalError("a login was answered before its beginning")
        return self._talk

    # ---- the daemon

    async def _connect(self, values: Mapping[str, str]) -> Step:
        where = endpoints.endpoint(values.get("endpoint", "") or endpoints.DEFAULT)
        place = folder(values.get("files_dir", ""))
        self._settings = {
            "endpoint": str(where),
            "files_dir": "" if place is None else str(place),
            "read_receipts": values.get("read_receipts", NO) == YES,
        }
        self._talk = _conversation(where)
        await self._talk.call("version", {})
        held = await self._talk.call("listAccounts", {})
        numbers = [
            each["number"]
            for each in (held if isinstance(held, list) else ())
            if isinstance(each, dict) and isinstance(each.get("number"), str)
        ]
        return _choice(numbers) if numbers else await self._code()

    async def _chosen(self, values: Mapping[str, str]) -> Step:
        chosen = values.get("account", "")
        if chosen == ANOTHER:
            return await self._code()
        if not chosen.startswith("+"):
            raise ConfigInvalid(f"account is a number of the list, or '{ANOTHER}'")
        self._number = chosen
        try:
            done = await self._done()
        except RpcError as error:
            if not isinstance(judge(error), Unlinked):
                raise
            await self._forget(chosen)
            return await self._code()
        if values.get("review", NO) == YES:
            self._changed = await self._untrusted()
        return self._question() if self._changed else done

    async def _forget(self, number: str) -> None:
        """Drop what the daemon holds of an account that Signal does not know."""
        params = {"account": number, "ignoreRegistered": True}
        try:
            await self._daemon().call("deleteLocalAccountData", params)
        except RpcError as error:
            if error.code != Kind.NO_METHOD:  # then linking writes over it
                raise

    # ---- linking

    async def _code(self) -> ShowCode:
        """Get a code, and ask at once to be told when it was scanned."""
        talk = self._daemon()
        self._codes += 1
        if self._codes > CODES_MAX:
            raise Unavailable(
                f"{CODES_MAX} codes were shown and none was scanned; begin again when"
                " the phone is at hand"
            )
        answer = await talk.call("startLink", {})
        uri = answer.get("deviceLinkUri") if isinstance(answer, dict) else None
        if not isinstance(uri, str) or not uri:
            raise Unavailable("the daemon gave no code to scan; see its log")
        params = {"deviceLinkUri": uri, "deviceName": DEVICE_NAME}
        self._finishing = await talk.begin("finishLink", params)
        again = "Scan this code with Signal on your phone"
        if self._codes > 1:
            again = "The code was not scanned in time. Scan this one"
        return ShowCode(title=again, data=uri, instructions=_SCAN, expires_s=CODE_S)

    async def _scanned(self) -> Step:
        try:
            answer = await self._daemon().finish(self._finishing, timeout_s=SCAN_S)
        except RpcError as error:
            if error.code in (Kind.USER, Kind.INPUT_OUTPUT) and _is_late(error.text):
                return await self._code()
            raise
        number = answer.get("number") if isinstance(answer, dict) else None
        if not isinstance(number, str):
            raise Unavailable("the daemon does not say which account was linked")
        self._number = number
        done = await self._done()
        await self._daemon().call("sendSyncRequest", {"account": number})
        return done

    async def _done(self) -> Done:
        """Make sure that the account works, and say who we are."""
        number = self._number
        params = {"account": number, "recipient": [number]}
        aci = read_own_id(await self._daemon().call("getUserStatus", params))
        return Done(
            settings={**self._settings, "number": number, "aci": aci},
            welcome="This is now a linked device of your Signal account (number ending"
            f" in {number[-2:]})",
        )

    # ---- safety numbers

    async def _untrusted(self) -> list[_Changed]:
        talk, params = self._daemon(), {"account": self._number}
        entries = await talk.call("listIdentities", params)
        contacts = await talk.call("listContacts", params)
        known = {
            each.get("uuid"): each.get("name")
            for each in (contacts if isinstance(contacts, list) else ())
            if isinstance(each, dict)
        }
        return [
            _Changed(
                person=person,
                name=display_name(known.get(person), person),
                safety_number=one_line(each.get("safetyNumber")),
            )
            for each in (entries if isinstance(entries, list) else ())
            if isinstance(each, dict)
            and each.get("trustLevel") == "UNTRUSTED"
            and (person := names.person_id(each.get("uuid"))) is not None
        ]

    def _question(self) -> Ask:
        first = self._changed[0]
        return Ask(
            title=f"The safety number with {first.name} has changed. It is now"
            f" {first.safety_number}. Compare it with the one that they see in Signal"
            " (their chat with you > your name > View safety number), by voice or side"
            " by side",
            fields=(
                Field(
                    name="decision",
                    label="What do you say?",
                    choices=(LATER, SAME, UNSEEN),
                    default=LATER,
                ),
            ),
        )

    async def _decided(self, decision: str) -> Step:
        first = self._changed[0]
        params: dict[str, Any] = {"account": self._number, "recipient": first.person}
        if decision == SAME:
            params["verifiedSafetyNumber"] = first.safety_number.replace(" ", "")
        elif decision == UNSEEN:
            params["trustAllKnownKeys"] = True
        elif decision != LATER:
            raise ConfigInvalid(f"decision is one of: {LATER}; {SAME}; {UNSEEN}")
        if decision != LATER:
            await self._daemon().call("trust", params)
        self._changed.pop(0)
        return self._question() if self._changed else await self._done()


def _conversation(where: Endpoint) -> Conversation:
    if where.is_http:
        raise ConfigInvalid(
            "the dialogue needs the daemon's --socket or --tcp; the account can use"
            " http:// afterwards, in the configuration"
        )
    return Conversation(where)


def _choice(numbers: Sequence[str]) -> Ask:
    return Ask(
        title="The daemon holds Signal accounts already",
        fields=(
            Field(
                name="account",
                label="Which one?",
                choices=(*numbers, ANOTHER),
                default=numbers[0],
            ),
            Field(
                name="review",
                label="Review safety numbers that have changed?",
                choices=(NO, YES),
                default=NO,
            ),
        ),
    )


def _is_late(text: str) -> bool:
    return "timed out" in text or "nknown device link uri" in text


def _trouble(error: RpcError) -> CredentialsRefused | Unavailable:
    if isinstance(judge(error), Unlinked):
        return CredentialsRefused(UNLINKED)
    if "already exists" in error.text:
        return CredentialsRefused(
            "the daemon holds an old copy of this account; begin again and choose it"
        )
    return Unavailable(f"{error}; its log says why")
