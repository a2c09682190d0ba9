"""From an intent to proposals, in the epoch of now.

Places in the participant list and in the tree are looked up here, so an intent can be
built again after another's commit. What is done already is left out; nothing may
remain.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sabir.crypto.suites import CipherSuite
from sabir.mimi.codepoints import Capability, ComponentId
from sabir.mimi.components.asset_policy import AssetPolicy, UploadDomains
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.participants import (
    BANNED,
    Participant,
    ParticipantListUpdate,
)
from sabir.mimi.ghosts import ghosts_of_gateway, read_ghost
from sabir.mimi.member.errors import RoomMisuse
from sabir.mimi.member.intents import (
    AddClients,
    Ban,
    CommitPending,
    Intent,
    Invite,
    Kick,
    Leave,
    RemoveClients,
    RemoveGhosts,
    RemoveUser,
    Rotate,
    SetComponent,
    SetMetadata,
    SetRole,
)
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.judge import removed_by
from sabir.mimi.policy.view import RoomView, client_of, key_of
from sabir.mimi.uris import domain_of
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.proposals import Add, AppDataUpdate, Proposal, Remove, SelfRemove


@dataclass(frozen=True, slots=True)
class Builder:
    """The room as it is, for whoever wants something in it.

    Attributes:
        effective: the room, with what waits.
        suite: of its group.
        user: our own.
        own_leaf: our place in the tree.
    """

    effective: EffectiveState
    suite: CipherSuite
    user: str
    own_leaf: int

    @property
    def committed(self) -> RoomView:
        """Return the room of this epoch, to which all places refer (D-35)."""
        return self.effective.committed

    def proposals(self, intent: Intent) -> tuple[Proposal, ...]:
        """Return what an intent needs; nothing if it is done already.

        Raises:
            RoomMisuse: a client of our own is to be removed that is this one.
        """
        return tuple(self._proposals(intent))

    def _proposals(self, intent: Intent) -> Iterator[Proposal]:
        match intent:
            case Invite():
                yield from self._invite(intent)
            case AddClients():
                yield from self._adds(intent.key_packages)
            case RemoveClients():
                yield from self._removes_clients(intent.clients)
            case SetRole():
                yield from self._set_role(intent.user, intent.role)
            case Ban():
                yield from self._set_role(intent.user, BANNED)
                yield from self._no_ghosts_left(intent.user)
            case Kick():
                yield from self._removes_of(intent.user)
            case RemoveUser():
                yield from self._unlisted(intent.user)
                yield from self._no_ghosts_left(intent.user)
                yield from self._removes_of(intent.user)
            case RemoveGhosts():
                yield from self._no_ghosts(intent.ghosts)
            case Leave():
                yield from self._leave()
            case SetMetadata():
                yield from self._metadata(intent)
            case SetComponent():
                yield AppDataUpdate(intent.component, intent.data)
            case Rotate() | CommitPending():
                return

    # ---- who is in

    def _invite(self, invite: Invite) -> Iterator[Proposal]:
        new = [
            each for each in invite.invitees if not self.committed.is_listed(each.user)
        ]
        added = tuple(Participant(each.user, invite.role) for each in new)
        if added:
            yield _list_update(ParticipantListUpdate(added=added))
            policy = self._policy_with_hosts(
                (domain_of(each.user), each.asset_hosts) for each in new
            )
            if policy is not None:
                yield AppDataUpdate(ComponentId.ASSET_POLICY, policy.encode())
        for each in invite.invitees:
            yield from self._adds(each.key_packages)

    def _policy_with_hosts(
        self, hosts: Iterable[tuple[str, tuple[str, ...]]]
    ) -> AssetPolicy | None:
        policy = self.committed.room.asset_policy
        if policy is None:
            return None
        known = {entry.provider for entry in policy.upload_domains}
        entries = {
            domain: UploadDomains(domain, where)
            for domain, where in hosts
            if where and domain not in known
        }
        if not entries:
            return None
        domains = (*policy.upload_domains, *entries.values())
        return replace(policy, upload_domains=domains)

    def _adds(self, packages: Iterable[KeyPackageIn]) -> Iterator[Proposal]:
        present = {key_of(client) for client in self.committed.clients}
        for package in packages:
            key = key_of(client_of(package.leaf_node))
            if key not in present:
                present.add(key)
                yield Add(package)

    def _set_role(self, user: str, role: int) -> Iterator[Proposal]:
        participants = self.committed.room.participants
        place = participants.index_of(user)
        if place is not None and participants.role_of(user) != role:
            yield _list_update(ParticipantListUpdate(changed=((place, role),)))
        if role == BANNED:
            yield from self._removes_of(user)

    # ---- who is out

    def _unlisted(self, user: str) -> Iterator[Proposal]:
        place = self.committed.room.participants.index_of(user)
        if place is not None:
            yield _list_update(ParticipantListUpdate(removed=(place,)))

    def _no_ghosts(self, ghosts: Iterable[str]) -> Iterator[Proposal]:
        """Take ghosts out of the list; the banned stay, or their ban would be gone."""
        places = (
            self.committed.room.participants.index_of(ghost)
            for ghost in ghosts
            if read_ghost(ghost) is not None and not self.committed.is_banned(ghost)
        )
        removed = tuple(sorted(place for place in places if place is not None))
        if removed:
            yield _list_update(ParticipantListUpdate(removed=removed))

    def _no_ghosts_left(self, gateway: str) -> Iterator[Proposal]:
        """Take the ghosts of who goes along, if our role may take out anybody."""
        if self.committed.may(self.user, Capability.CAN_REMOVE_PARTICIPANT):
            users = self.committed.room.participants.users
            ghosts = ghosts_of_gateway(users, gateway)
            yield from self._no_ghosts(ghost.uri for ghost in ghosts)

    def _removes_of(self, user: str) -> Iterator[Proposal]:
        """Remove all clients of a user but this one, unless they are leaving."""
        leaving = self._leaving
        for index, client in self.effective.leaves.items():
            own = index == self.own_leaf
            if client.user == user and not own and index not in leaving:
                yield Remove(index)

    def _removes_clients(self, clients: tuple[str, ...]) -> Iterator[Proposal]:
        leaving = self._leaving
        for index, client in self.effective.leaves.items():
            if client.identity in clients and index not in leaving:
                if index == self.own_leaf:
                    raise RoomMisuse("a client does not remove itself; use Leave()")
                yield Remove(index)

    @property
    def _leaving(self) -> set[int]:
        """Return the leaves that waiting proposals remove."""
        return removed_by(self.effective.pending)

    def _leave(self) -> Iterator[Proposal]:
        if self.own_leaf in self._leaving:
            return
        yield SelfRemove()
        yield from self._removes_of(self.user)
        if not self.committed.room.base_policy.fixed_membership:
            yield from self._unlisted(self.user)

    # ---- what the room is

    def _metadata(self, intent: SetMetadata) -> Iterator[Proposal]:
        old = self.committed.room.metadata
        new = changed_metadata(old, intent)
        if new != old:
            yield AppDataUpdate(ComponentId.ROOM_METADATA, new.encode())


def changed_metadata(old: RoomMetadata, intent: SetMetadata) -> RoomMetadata:
    """Return metadata with the fields that an intent names."""
    wanted = {
        "name": intent.name,
        "descriptions": intent.descriptions,
        "avatar": intent.avatar,
        "subject": intent.subject,
        "mood": intent.mood,
    }
    changes = {field: value for field, value in wanted.items() if value is not None}
    return replace(old, **changes)  # type: ignore[arg-type]  # by name: mypy sees one type


def _list_update(update: ParticipantListUpdate) -> AppDataUpdate:
    return AppDataUpdate(ComponentId.PARTICIPANT_LIST, update.encode())
