"""update, submitMessage, groupInfo, reportAbuse, and the gate of keyMaterial, as a hub.

Other providers and our own agents ask the same questions. `source` says whose provider
brings one; of our own agents we also know the device.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from sabir.mimi.codepoints import SubmitCode, UpdateCode
from sabir.mimi.franking import ReportVerdict
from sabir.mimi.hub.asset_domains import providers_named
from sabir.mimi.hub.group_info import not_authorized
from sabir.mimi.hub.join_codes import JoinCode, digest_of
from sabir.mimi.hub.outcome import HubFacts
from sabir.mimi.hub.refusals import PAIR_TAKEN, ROOM_UNKNOWN
from sabir.mimi.hub.room import HubRoom, refs_wanted
from sabir.mimi.hub.senders import joiner_of
from sabir.mimi.hub.submit import NOT_ALLOWED
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.abuse import decode_abuse_report
from sabir.mimi.structs.group_info import (
    GroupInfoRequest,
    decode_group_info_request,
)
from sabir.mimi.structs.key_material import KeyMaterialRequest
from sabir.mimi.structs.submit import SubmitMessageRequest, decode_submit_request
from sabir.mimi.structs.update import (
    CommitBundle,
    HandshakeBundle,
    decode_handshake_bundle,
    decode_update_response,
)
from sabir.mimi.uris import user_of
from sabir.mls.credentials import BasicCredential
from sabir.mls.framing import PublicMessage
from sabir.provider.hosting_base import HostingBase
from sabir.provider.hosting_commits import Local, Own, decision_of
from sabir.provider.key_material import DEVICE_REFS, DOMAIN_REFS
from sabir.provider.rooms import Decision, replay_digest
from sabir.storage.provider.records import JoinCodeRecord, ReportRecord
from sabir.wire.errors import Malformed

NEW_PROVIDERS_MAX: Final = 16
"""Providers that one handshake brings in, whose directories we look up."""

_OUTSIDER: Final = "nobody of it is in the room"


class HubRequests(HostingBase):
    """Answers what members, or their providers, ask the hub."""

    async def update(
        self, source: str, room: str, body: bytes, *, device: str | None = None
    ) -> bytes:
        """Judge a handshake; if it is accepted, everybody gets it.

        A device of ours that joins by it has the room's stream from then on.

        Args:
            source: domain of the provider that brings it; ours for our own agents.
            room: its URI.
            body: a HandshakeBundle.
            device: which of our own devices asks; None: another provider does.

        Returns:
            An UpdateRoomResponse.

        Raises:
            Malformed, Problem, StorageFailed: nothing happened.
        """
        bundle = decode_handshake_bundle(body)
        keys, now_ms = await self._fresh_keys(), self._core.clock.now()
        facts = await self._facts(room, source, bundle)
        local = Local(attached=frozenset() if device is None else _joiner(bundle))

        def decide(machine: HubRoom | None) -> Decision:
            if machine is None:
                return Decision(response=ROOM_UNKNOWN.encode())
            machine.keys = keys
            outcome = machine.update(now_ms, source, bundle, facts)
            return decision_of(machine, outcome, local, refused=PAIR_TAKEN)

        answer = await self._desks.change(room, source, body, decide)
        if isinstance(bundle, CommitBundle) and (
            decode_update_response(answer).code == UpdateCode.SUCCESS
        ):
            await self._delivered(refs_wanted(bundle))
        return answer

    async def submit(
        self, source: str, room: str, body: bytes, *, device: str | None = None
    ) -> bytes:
        """Judge an application message; if it is accepted, everybody gets it.

        The device that sends it gets its place in the order instead (`room.own`).

        Args:
            source: domain of the provider that brings it; ours for our own agents.
            room: its URI.
            body: a SubmitMessageRequest.
            device: which of our own devices asks; it speaks for its user only.

        Returns:
            A SubmitMessageResponse.

        Raises:
            Malformed, Problem, StorageFailed: nothing happened.
        """
        request = decode_submit_request(body)
        keys, now_ms = await self._fresh_keys(), self._core.clock.now()
        allowed = device is None or (
            isinstance(request, SubmitMessageRequest)
            and request.sending_uri == user_of(device)
        )

        def decide(machine: HubRoom | None) -> Decision:
            if machine is None or not allowed:
                return Decision(response=NOT_ALLOWED.encode())
            machine.keys = keys
            outcome = machine.submit(now_ms, source, request)
            own = None
            if device is not None and outcome.response.code == SubmitCode.ACCEPTED:
                own = Own(device=device, frank=outcome.response.frank)
            return decision_of(machine, outcome, Local(own=own))

        return await self._desks.change(room, source, body, decide)

    async def group_info(
        self, source: str, room: str, body: bytes, *, device: str | None = None
    ) -> bytes:
        """Show the group to who may join it from outside.

        Args:
            source: domain of the provider that brings it; ours for our own agents.
            room: its URI.
            body: a GroupInfoRequest.
            device: which of our own devices asks; it speaks for its user only.

        Returns:
            A GroupInfoResponse.

        Raises:
            Malformed, Problem, StorageFailed: nothing happened.
        """
        request = decode_group_info_request(body)
        keys, now_ms = await self._fresh_keys(), self._core.clock.now()
        refused = not_authorized(room)
        allowed, code = True, None
        if isinstance(request, GroupInfoRequest):
            allowed = device is None or _speaks_for(device, request)
            if request.join_code:
                found = await self._core.store.join_code(digest_of(request.join_code))
                code = None if found is None else code_of(found)

        def decide(machine: HubRoom | None) -> Decision:
            if machine is None or not allowed:
                return Decision(response=refused.encode())
            machine.keys = keys
            outcome = machine.group_info(now_ms, source, request, code)
            return decision_of(machine, outcome, refused=refused)

        return await self._desks.change(room, source, body, decide, repeats=False)

    async def may_ask(self, request: KeyMaterialRequest, source: str) -> bool:
        """Tell whether a member of a room may ask for key material (D-16)."""
        await self._fresh_keys()
        async with self._desks.asked(request.room) as machine:
            return machine is not None and machine.may_ask(source, request)

    async def report(
        self, source: str, room: str, body: bytes, *, device: str | None = None
    ) -> None:
        """Take an abuse report: judged, and stored whatever the judgement is.

        Args:
            source: domain of the reporter's provider; ours for our own agents.
            room: its URI.
            body: an AbuseReport.
            device: which of our own devices asks; it speaks for its user only.

        Raises:
            Malformed: it does not decode.
            Problem: DOMAIN_NOT_AUTHORIZED, who had nobody in the room; the reporter is
                another one.
            StorageFailed: it was not stored.
        """
        report = decode_abuse_report(body)
        keys, now = await self._fresh_keys(), self._core.clock.now()
        if device is not None and report.reporting_user not in ("", user_of(device)):
            raise Problem(ProblemCode.DOMAIN_NOT_AUTHORIZED, "another user's report")
        present: dict[str, int] = dict(await self._core.store.room_domains(room))
        async with self._desks.asked(room) as machine:
            if machine is None:
                raise Problem(ProblemCode.DOMAIN_NOT_AUTHORIZED, _OUTSIDER)
            machine.keys = keys
            present |= dict.fromkeys(machine.domains, int(now))
        # Many messages take long; nobody waits for them, and nothing of it changes.
        verdicts = await asyncio.to_thread(
            machine.report, int(now), source, report, present
        )
        await self._core.store.add_report(
            ReportRecord(
                digest=replay_digest(source, room, body),
                room=room,
                source=source,
                octets=body,
                verified=_proves(verdicts),
                reported_at=now,
            )
        )

    # ---- facts

    async def _facts(self, room: str, source: str, bundle: HandshakeBundle) -> HubFacts:
        """Return what the room must know to judge a handshake."""
        store, now = self._core.store, self._core.clock.now()
        domains: Mapping[bytes, str] = {}
        refs = refs_wanted(bundle)
        if refs:
            devices = await store.routes(DEVICE_REFS, refs, now=now)
            domains = {
                **await store.routes(DOMAIN_REFS, refs, now=now),
                **dict.fromkeys(devices, self._domain),
            }
        named = providers_named(bundle)
        hosts = await self._asset_hosts(room, source, named) if named else {}
        return HubFacts(key_package_domains=domains, asset_domains=hosts)

    async def _asset_hosts(
        self, room: str, source: str, named: frozenset[str]
    ) -> Mapping[str, tuple[str, ...]]:
        """Return the asset hosts of providers that are new in a room (D-37)."""
        async with self._desks.asked(room) as machine:
            if machine is None or source not in machine.domains:
                return {}
            policy = machine.view.room.asset_policy
        known = () if policy is None else policy.upload_domains
        fresh = sorted(named - {entry.provider for entry in known})
        return {
            provider: hosts
            for provider in fresh[:NEW_PROVIDERS_MAX]
            if (hosts := await self.asset_hosts(provider)) is not None
        }

    async def asset_hosts(self, provider: str) -> tuple[str, ...] | None:
        """Return the asset hosts in a provider's directory; None: it has none now."""
        if provider == self._domain:
            return (self._core.config.endpoint_host,)
        try:
            directory = await self._core.peers.directory(provider)
        except Problem:
            return None
        return directory.asset_domains

    async def _delivered(self, refs: tuple[bytes, ...]) -> None:
        """Forget whose KeyPackages those of a Welcome are: it is on its way."""
        if refs:
            await self._core.store.drop_routes(DEVICE_REFS, refs)
            await self._core.store.drop_routes(DOMAIN_REFS, refs)


def _joiner(bundle: HandshakeBundle) -> frozenset[str]:
    """Return the client that joins by a commit, if one does."""
    body = bundle.message.body
    joiner = (
        joiner_of(body.message.content) if isinstance(body, PublicMessage) else None
    )
    return frozenset() if joiner is None else frozenset({joiner.identity})


def _speaks_for(device: str, request: GroupInfoRequest) -> bool:
    credential = request.credential
    if not isinstance(credential, BasicCredential):
        return False
    try:
        identity = credential.identity.decode("ascii")
        return user_of(identity) == user_of(device)
    except (UnicodeDecodeError, Malformed):
        return False


def _proves(verdicts: tuple[ReportVerdict, ...]) -> bool:
    """Whether all that is reported was accepted here, as it is reported."""
    return bool(verdicts) and all(
        verdict is ReportVerdict.VERIFIED for verdict in verdicts
    )


def code_of(stored: JoinCodeRecord) -> JoinCode:
    """Return a join code as rooms know it."""
    return JoinCode(
        digest=stored.digest,
        room=stored.room,
        role=stored.role,
        uses_left=stored.uses_left,
        expires_at=int(stored.expires_at),
        bound_user=stored.bound_user,
    )
