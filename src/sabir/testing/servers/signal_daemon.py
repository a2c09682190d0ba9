"""A small daemon that speaks signal-cli's JSON-RPC dialect, with state and trouble.

It is ours, written from signal-cli's manual page and record classes, for the contract
kit and for what no real daemon does on request. It is in the test's own process and
knows nothing of cryptography: that the dialect is right, the interop tests show.

Two temperaments: like signal-cli it forgets what it has written to a connection and
names messages by its own clock; with `keeps` it waits for `ackReceive` and takes a
caller's `timestamp`, as a daemon may that Sabir detects and then relies on.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from sabir.networks.serving import stop_accepting
from sabir.testing.servers.ports import LOOPBACK

LINE_OCTETS_MAX: Final = 256 * 1024 * 1024
SLOW_S: Final = 3_600.0
"""Longer than any test waits."""
EXTENSIONS: Final = frozenset({"account", "timestamp", "ack"})
"""Parameters beyond the methods' own; signal-cli ignores what it does not know."""
WITHOUT_ACCOUNT: Final = frozenset(
    {"version", "listAccounts", "startLink", "finishLink", "subscribeReceive"}
)
ALWAYS_THERE: Final = {"subscribeReceive": [], "unsubscribeReceive": ["subscription"]}
"""Methods of JSON-RPC mode that have no command line."""

Json = dict[str, Any]


class Fault(Exception):
    """An error of the dialect."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was carried out."""

    method: str
    params: Mapping[str, Any]

    @property
    def chat(self) -> str:
        """Return where it went."""
        if "groupId" in self.params:
            return f"group:{self.params['groupId']}"
        return f"dm:{(self.params.get('recipient') or ['self'])[0]}"


@dataclass(eq=False)
class _Client:
    writer: asyncio.StreamWriter
    is_subscribed: bool = False
    sent_up_to: int = 0

    def write(self, message: object) -> None:
        if not self.writer.is_closing():
            self.writer.write(json.dumps(message).encode() + b"\n")


@dataclass
class _Person:
    name: str
    number: str
    trust: str = "TRUSTED_UNVERIFIED"
    key: int = 1
    registered: bool = True
    held: list[Json] = field(default_factory=list)


class SignalDaemon:
    """A daemon with one account.

    Args:
        methods: names of all methods with their parameters, from signal-cli.
        number: the account's phone number.
        aci: its account id.
        keeps: waits for acknowledgements, and takes timestamps.
    """

    def __init__(
        self,
        methods: Mapping[str, Sequence[str]],
        *,
        number: str,
        aci: str,
        keeps: bool = False,
    ) -> None:
        self._methods = {**methods, **ALWAYS_THERE}
        if keeps:
            self._methods["ackReceive"] = ["ack"]
        self.number = number
        self.aci = aci
        self.keeps = keeps
        self.linked = True
        self.people: dict[str, _Person] = {}
        self.groups: dict[str, Json] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[Call] = []
        """What was carried out, in order."""
        self.violations: list[str] = []
        """Requests that no signal-cli would understand."""
        self.faults: dict[str, list[Fault]] = {}
        """Answers to the next calls of a method, instead of doing it."""
        self.slow_chat = ""
        self.lose_answer = self.lose_send = False
        self.scans: asyncio.Queue[str] = asyncio.Queue()
        """Numbers of phones that scan the code shown."""
        self.port = 0
        self.journal: list[tuple[int, Json]] = []
        self._delivered = 0
        """The newest that was written to anybody; without `keeps` it is forgotten."""
        self._numbers = count(1)
        self._times = count(1_700_000_000_000)
        self._clients: set[_Client] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- life

    async def start(self, path: Path | None = None) -> None:
        """Listen on a loopback port, or on a UNIX socket."""
        if path is not None:
            self._server = await asyncio.start_unix_server(
                self._serve, path, limit=LINE_OCTETS_MAX
            )
            return
        self._server = await asyncio.start_server(
            self._serve, LOOPBACK, self.port, limit=LINE_OCTETS_MAX
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut all connections and listen no more."""
        if self._server is not None:
            await stop_accepting(self._server)
        for client in self._clients:
            client.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server = None

    def now(self) -> int:
        """Return a time that nobody had before."""
        return next(self._times)

    # ---- what the network does

    def person(self, aci: str, name: str, number: str) -> None:
        """Add somebody."""
        self.people[aci] = _Person(name, number)

    def group(self, group: str, name: str, members: Sequence[str]) -> None:
        """Add a group that the account is in."""
        self.groups[group] = {
            "id": group,
            "name": name,
            "description": None,
            "isMember": True,
            "isBlocked": False,
            "messageExpirationTime": 0,
            "members": [{"number": None, "uuid": each} for each in members],
            "pendingMembers": [],
            "requestingMembers": [],
            "admins": [{"number": None, "uuid": members[0]}],
        }

    def envelope(self, author: str, timestamp: int, **member: Json) -> Json:
        """Return an envelope with one member."""
        person = self.people.get(author)
        return {
            "source": author,
            "sourceNumber": None if person is None else person.number,
            "sourceUuid": author,
            "sourceName": None if person is None else person.name,
            "sourceDevice": 1,
            "timestamp": timestamp,
            "serverReceivedTimestamp": timestamp + 1,
            "serverDeliveredTimestamp": timestamp + 2,
            **member,
        }

    def says(self, author: str, text: str | None, group: str = "", **more: Any) -> int:
        """Let somebody send a message; return its time."""
        timestamp = self.now()
        self.arrives(author, timestamp, self.body(timestamp, text, group, **more))
        return timestamp

    def body(
        self, timestamp: int, text: str | None, group: str = "", **more: Any
    ) -> Json:
        """Return a data message."""
        body: Json = {"timestamp": timestamp, "message": text, "expiresInSeconds": 0}
        if group:
            body["groupInfo"] = {
                "groupId": group,
                "groupName": self.groups[group]["name"],
                "revision": 0,
                "type": "DELIVER",
            }
        return {**body, **more}

    def arrives(self, author: str, timestamp: int, body: Json) -> None:
        """Let a data message arrive, or be held if its author's key has changed."""
        found = self.envelope(author, timestamp, dataMessage=body)
        person = self.people.get(author)
        if person is not None and person.trust == "UNTRUSTED":
            person.held.append(found)
            bare = self.envelope(author, timestamp)
            exception = {"message": None, "type": "UntrustedIdentityException"}
            self.push(bare, exception=exception)
        else:
            self.push(found)

    def owner_says(self, to: str, text: str, **more: Any) -> int:
        """Let the owner write on the phone; return the message's time."""
        timestamp = self.now()
        group = to.removeprefix("group:") if to.startswith("group:") else ""
        body = self.body(timestamp, text, group, **more)
        if not group:
            body |= {"destinationUuid": to, "destination": to}
        sync: Json = {"sentMessage": body}
        self.push(self.envelope(self.aci, timestamp, syncMessage=sync))
        return timestamp

    def push(self, found: Json, **more: Json) -> None:
        """Put an envelope into the queue and deliver what can be."""
        result = {"account": self.number, "envelope": found, **more}
        self.journal.append((next(self._numbers), result))
        self._pump()

    def redeliver(self) -> None:
        """Deliver the newest envelope once more."""
        for client in self._clients:
            if client.is_subscribed and self.journal:
                self._deliver(client, *self.journal[-1])

    def change_key(self, aci: str) -> None:
        """Give somebody a new phone."""
        person = self.people[aci]
        person.key += 1
        person.trust = "UNTRUSTED"

    def _pump(self) -> None:
        for client in [each for each in self._clients if each.is_subscribed]:
            for number, result in list(self.journal):
                if number > client.sent_up_to:
                    self._deliver(client, number, result)
                    client.sent_up_to = self._delivered = number

    def _deliver(self, client: _Client, number: int, result: Json) -> None:
        params: Json = {"subscription": 0, "result": result}
        if self.keeps:
            params["ack"] = number
        client.write({"jsonrpc": "2.0", "method": "receive", "params": params})

    # ---- the dialect

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        client = _Client(writer)
        self._clients.add(client)
        try:
            while line := await reader.readline():
                task = asyncio.create_task(self._handle(client, line))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(client)
            writer.close()

    async def _handle(self, client: _Client, line: bytes) -> None:
        request = json.loads(line)
        number, params = request.get("id"), request.get("params", {})
        try:
            result = await self.carry_out(request["method"], params, client)
        except Fault as fault:
            error = {"code": fault.code, "message": str(fault), "data": fault.data}
            client.write({"jsonrpc": "2.0", "error": error, "id": number})
            return
        except ConnectionAbortedError:
            client.writer.transport.abort()
            return
        if number is not None:
            client.write({"jsonrpc": "2.0", "result": result, "id": number})
        self._pump()

    async def carry_out(
        self, method: str, params: Json, client: _Client | None = None
    ) -> Any:
        """Do what a request wants.

        Raises:
            Fault: the error to answer with.
            ConnectionAbortedError: there is to be no answer.
        """
        self._check(method, params)
        if self.faults.get(method):
            raise self.faults[method].pop(0)
        if method not in WITHOUT_ACCOUNT:
            self._check_account(params)
        if method == "subscribeReceive":
            assert client is not None
            client.is_subscribed = True
            client.sent_up_to = 0 if self.keeps else self._delivered
            return 0
        handler: Callable[[Json], Awaitable[Any]] | None
        handler = getattr(self, f"_do_{_snake(method)}", None)
        if handler is None:
            raise Fault(-32601, "Method not implemented")
        return await handler(params)

    def _check(self, method: str, params: Json) -> None:
        """Note what signal-cli's own list of methods and parameters does not have."""
        known = self._methods.get(method)
        if known is None:
            self.violations.append(f"method {method}")
            raise Fault(-32601, "Method not implemented")
        allowed = {*known, *(f"{each}s" for each in known), *EXTENSIONS}
        self.violations += [
            f"{method}.{name}" for name in params if name not in allowed
        ]

    def _check_account(self, params: Json) -> None:
        if params.get("account") != self.number:
            raise Fault(-32602, "Specified account does not exist")
        if not self.linked:
            raise Fault(-1, f"User {self.number} is not registered.")

    async def _do_version(self, params: Json) -> Json:
        return {"version": "0.14.7-fake"}

    async def _do_list_accounts(self, params: Json) -> list[Json]:
        return [{"number": self.number}] if self.number else []

    async def _do_start_link(self, params: Json) -> Json:
        return {"deviceLinkUri": f"sgnl://linkdevice?uuid={self.now()}&pub_key=AAAA"}

    async def _do_finish_link(self, params: Json) -> Json:
        self.number = await self.scans.get()
        self.linked = True
        return {"number": self.number}

    async def _do_delete_local_account_data(self, params: Json) -> Json:
        self.number = ""
        return {}

    async def _do_send_sync_request(self, params: Json) -> Json:
        return {}

    async def _do_ack_receive(self, params: Json) -> Json:
        self.journal = [each for each in self.journal if each[0] > params["ack"]]
        return {}

    async def _do_get_user_status(self, params: Json) -> list[Json]:
        ids = {p.number: aci for aci, p in self.people.items()} | {
            self.number: self.aci
        }
        return [
            {"recipient": r, "number": r, "uuid": ids.get(r), "isRegistered": r in ids}
            for r in params["recipient"]
        ]

    async def _do_list_contacts(self, params: Json) -> list[Json]:
        return [
            {"number": p.number, "uuid": aci, "name": p.name}
            for aci, p in self.people.items()
        ]

    async def _do_list_groups(self, params: Json) -> list[Json]:
        wanted = params.get("groupId") or list(self.groups)
        return [self.groups[each] for each in wanted if each in self.groups]

    async def _do_list_identities(self, params: Json) -> list[Json]:
        return [
            {
                "number": person.number,
                "uuid": aci,
                "fingerprint": f"{person.key:064x}",
                "safetyNumber": " ".join([f"{person.key:05}"] * 12),
                "trustLevel": person.trust,
                "addedTimestamp": 1_700_000_000_000 + person.key,
            }
            for aci, person in self.people.items()
            if params.get("number") in (None, aci)
        ]

    async def _do_trust(self, params: Json) -> Json:
        person = self.people[params["recipient"]]
        given = params.get("verifiedSafetyNumber")
        if given is not None and given != f"{person.key:05}" * 12:
            raise Fault(-1, "Failed to set the trust for this number")
        person.trust = "TRUSTED_VERIFIED" if given else "TRUSTED_UNVERIFIED"
        held, person.held = person.held, []
        for each in held:
            self.push(each)
        return {}

    async def _do_get_attachment(self, params: Json) -> Json:
        if params["id"] not in self.files:
            raise Fault(-1, f"Could not find attachment with ID: {params['id']}")
        return {"data": base64.b64encode(self.files[params["id"]]).decode()}

    async def _do_get_sticker(self, params: Json) -> Json:
        data = self.files[f"{params['packId']}/{params['stickerId']}"]
        return {"data": base64.b64encode(data).decode()}

    async def _do_send(self, params: Json) -> Json:
        files = params.get("attachment", [])
        if not params.get("message") and not files:
            raise Fault(-1, "Sending empty message is not allowed")
        kept = {**params, "octets": [_octets(each) for each in files]}
        return await self._accept("send", kept)

    async def _do_send_reaction(self, params: Json) -> Json:
        return await self._accept("sendReaction", params)

    async def _do_remote_delete(self, params: Json) -> Json:
        return await self._accept("remoteDelete", params)

    async def _do_send_admin_delete(self, params: Json) -> Json:
        return await self._accept("sendAdminDelete", params)

    async def _do_send_typing(self, params: Json) -> Json:
        self.calls.append(Call("sendTyping", params))
        return {"timestamp": self.now(), "results": []}

    async def _do_send_receipt(self, params: Json) -> Json:
        self.calls.append(Call("sendReceipt", params))
        return {"timestamp": self.now(), "results": []}

    async def _accept(self, method: str, params: Json) -> Json:
        call = Call(method, params)
        if call.chat == self.slow_chat:
            await asyncio.sleep(SLOW_S)
        if self.lose_send:
            self.lose_send = False
            raise ConnectionAbortedError
        results = [self._result(each) for each in self._recipients(params)]
        timestamp = params["timestamp"] if self.keeps else self.now()
        answer = {"timestamp": timestamp, "results": results}
        kinds = {result["type"] for result in results}
        if kinds and "SUCCESS" not in kinds:
            code = {"IDENTITY_FAILURE": -4, "RATE_LIMIT_FAILURE": -5}.get(
                min(kinds), -1
            )
            raise Fault(code, "Failed to send message", {"response": answer})
        is_repeated = self.keeps and any(
            each.params.get("timestamp") == timestamp for each in self.calls
        )
        if not is_repeated:
            self.calls.append(call)
        if self.lose_answer:
            self.lose_answer = False
            raise ConnectionAbortedError
        return answer

    def _recipients(self, params: Json) -> list[str]:
        if "groupId" not in params:
            return list(params.get("recipient", []))
        group = self.groups.get(params["groupId"])
        if group is None or not group["isMember"]:
            raise Fault(-1, f"User is not a group member: {params['groupId']}")
        return [m["uuid"] for m in group["members"] if m["uuid"] != self.aci]

    def _result(self, aci: str) -> Json:
        person = self.people[aci]
        kind = "SUCCESS"
        if not person.registered:
            kind = "UNREGISTERED_FAILURE"
        elif person.trust == "UNTRUSTED":
            kind = "IDENTITY_FAILURE"
        address = {"uuid": aci, "number": person.number, "username": None}
        return {"recipientAddress": address, "type": kind}


def _snake(method: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in method)


def _octets(source: str) -> bytes:
    if source.startswith("data:"):
        return base64.b64decode(source.partition(";base64,")[2])
    return Path(source).read_bytes()
