"""The rule kernel (MIMI.md 6.4): for each effect, who may cause it.

Notation of the rules below: actor a with role R in the effective room E, may(R, x) a
capability of R, to(R, f) the roles into which R may move somebody from f, N the room
after the whole batch.

- list: add u as r: may canAddParticipant, r in to(R, 0), r not 0.
- list: add self as r, by external commit: role 0 may canOpenJoin and r in to(0, 0); or
  role 0 may canUseJoinCode and the hub was shown a valid code for r.
- list: remove u: may canRemoveParticipant, 0 in to(R, role(u)), no leaf of u in N.
- list: remove self: may canRemoveSelf, 0 in to(R, R), no leaf of a in N.
- role of u from f to 1, banned: 1 in to(R, f), may canBan or canChangeUserRole, no leaf
  of u in N.
- role of u from 1 to t: t in to(R, 1), may canUnBan or canChangeUserRole.
- role of u from f to t otherwise: t in to(R, f), may canChangeUserRole.
- own role: denied in phase 1.
- a ghost (`sabir.mimi.ghosts`) is added by its own gateway alone, whose word it is;
  that gateway may also remove it, unless it is banned; it never gets a leaf, or a
  device that nobody let in would hide behind it. The drafts know no ghosts: these three
  lines are ours.
- leaf added for a: with an authorised self-add, or may canAddOwnClient.
- leaf added for u: u added to the list by a in this batch; or u listed, not banned,
  with role r, may canAddParticipant and r in to(R, 0); or the membership is fixed, u
  listed and not banned, a active with canAddOwnClient.
- leaf of a removed: with a's own list removal, or may canRemoveOwnClient; always by
  who is banned or not listed; by a joiner, who comes back to this client's place.
- leaf of u removed: with a's removal or ban of u; or u banned or not listed in E; or
  may canKick.
- metadata: the capability of each changed field.
- roles, preauthorisations, base policy: the capability of each.
- other policies: the reserved capability (D-37), and one exception for asset domains.
- an Update, a path: always.
- anything else: denied.

The hub itself may only clean up (D-53), somebody banned or removed may only take
away leaves of their own, and who joins by a commit may do nothing else in it (4.4).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sabir.mimi.codepoints import Capability, ComponentId
from sabir.mimi.components.participants import BANNED, NO_ROLE
from sabir.mimi.components.roles import Role
from sabir.mimi.ghosts import read_ghost
from sabir.mimi.policy.acts import (
    Act,
    ActorKind,
    ComponentUpdate,
    Effect,
    Forbidden,
    LeafAdd,
    LeafRemove,
    LeafUpdate,
    ListAdd,
    ListRemove,
    MetadataChange,
    RoleChange,
)
from sabir.mimi.policy.assets import is_new_providers_entry
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.view import RoomAfter, RoomView
from sabir.mimi.uris import domain_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the judge knows beside the room.

    Attributes:
        join_role: for which role the joiner showed the hub a valid code; None for
            none.
        hub_checked_code: we are no hub: a join by code is believed, since only the hub
            has seen the code.
        asset_domains: by provider, what its directory says; None where that is not
            known and any hosts are believed.
        reissues: effects that were accepted from an authorised actor before, which the
            hub may propose again.
    """

    join_role: int | None = None
    hub_checked_code: bool = False
    asset_domains: Mapping[str, tuple[str, ...]] | None = None
    reissues: frozenset[Effect] = frozenset()


NO_FACTS: Final = Facts()


@dataclass(frozen=True, slots=True)
class Case:
    """One act to be judged, with all it is judged by.

    Attributes:
        before: E.
        after: N.
        act: the act.
        own: effects of the same actor in the batch.
        facts: what else is known.
    """

    before: RoomView
    after: RoomAfter
    act: Act
    own: frozenset[Effect]
    facts: Facts = field(default_factory=Facts)

    @property
    def actor(self) -> str:
        """Return a."""
        return self.act.actor.user

    @property
    def role(self) -> Role:
        """Return R."""
        return self.before.role(self.actor)

    def may(self, capability: Capability) -> bool:
        """Whether R holds a capability."""
        return self.role.may(capability)

    def moves(self, source: int, target: int) -> bool:
        """Whether `target` is in to(R, source)."""
        return target in self.role.targets(source)

    def is_gone(self, user: str) -> bool:
        """Whether a user has no leaf in N."""
        return not self.after.leaves_of(user)


def name_of(capability: Capability) -> str:
    """Return a capability's name in the drafts, `canAddParticipant`."""
    head, *words = capability.name.split("_")
    return head.lower() + "".join(word.capitalize() for word in words)


# ---- the participant list


def _list_add(case: Case, effect: ListAdd) -> str | None:
    if effect.user == case.actor:
        return _self_add(case, effect)
    ghost = read_ghost(effect.user)
    if ghost is not None and ghost.gateway != case.actor:
        return "another's ghost"
    allowed = (
        case.may(Capability.CAN_ADD_PARTICIPANT)
        and effect.role != NO_ROLE
        and case.moves(NO_ROLE, effect.role)
    )
    return None if allowed else name_of(Capability.CAN_ADD_PARTICIPANT)


def _self_add(case: Case, effect: ListAdd) -> str | None:
    outside = case.before.room.roles.role(NO_ROLE)
    joins = (
        case.act.actor.kind is ActorKind.JOINER
        and not case.before.is_listed(case.actor)
        and effect.role != NO_ROLE
    )
    if not joins:
        return name_of(Capability.CAN_OPEN_JOIN)
    open_join = outside.may(Capability.CAN_OPEN_JOIN) and effect.role in (
        outside.targets(NO_ROLE)
    )
    by_code = outside.may(Capability.CAN_USE_JOIN_CODE) and (
        case.facts.hub_checked_code or case.facts.join_role == effect.role
    )
    if open_join or by_code:
        return None
    return name_of(Capability.CAN_USE_JOIN_CODE)


def _list_remove(case: Case, effect: ListRemove) -> str | None:
    user = effect.user
    ghost = read_ghost(user)
    if ghost is not None and ghost.gateway == case.actor:
        return "ban of its ghost" if case.before.is_banned(user) else None
    capability = (
        Capability.CAN_REMOVE_SELF
        if user == case.actor
        else Capability.CAN_REMOVE_PARTICIPANT
    )
    allowed = (
        case.may(capability)
        and case.moves(case.before.role_index(user), NO_ROLE)
        and case.is_gone(user)
    )
    return None if allowed else name_of(capability)


def _role_change(case: Case, effect: RoleChange) -> str | None:
    if effect.user == case.actor:
        return name_of(Capability.CAN_CHANGE_OWN_ROLE)
    old, new = effect.old, effect.new
    if new == BANNED:
        bans = case.may(Capability.CAN_BAN) or case.may(Capability.CAN_CHANGE_USER_ROLE)
        allowed = bans and case.before.room.roles.can_ban and case.is_gone(effect.user)
        capability = Capability.CAN_BAN
    elif old == BANNED:
        allowed = case.may(Capability.CAN_UN_BAN) or case.may(
            Capability.CAN_CHANGE_USER_ROLE
        )
        capability = Capability.CAN_UN_BAN
    else:
        allowed = case.may(Capability.CAN_CHANGE_USER_ROLE)
        capability = Capability.CAN_CHANGE_USER_ROLE
    allowed = allowed and NO_ROLE not in (old, new) and case.moves(old, new)
    return None if allowed else name_of(capability)


# ---- clients


def _leaf_add(case: Case, effect: LeafAdd) -> str | None:
    user = effect.client.user
    if read_ghost(user) is not None:
        return "a ghost has no device"
    if user == case.actor:
        return _own_leaf_add(case)
    if any(isinstance(own, ListAdd) and own.user == user for own in case.own):
        return None
    before = case.before
    listed = not before.is_out(user)
    adds = case.may(Capability.CAN_ADD_PARTICIPANT) and case.moves(
        NO_ROLE, before.role_index(user)
    )
    fixed = (
        before.room.base_policy.fixed_membership
        and before.is_active(case.actor)
        and case.may(Capability.CAN_ADD_OWN_CLIENT)
    )
    return (
        None if listed and (adds or fixed) else name_of(Capability.CAN_ADD_PARTICIPANT)
    )


def _own_leaf_add(case: Case) -> str | None:
    joins = any(isinstance(own, ListAdd) and own.user == case.actor for own in case.own)
    if joins or case.may(Capability.CAN_ADD_OWN_CLIENT):
        return None
    return name_of(Capability.CAN_ADD_OWN_CLIENT)


def _leaf_remove(case: Case, effect: LeafRemove) -> str | None:
    user = effect.client.user
    if user == case.actor:
        return _own_leaf_remove(case)
    allowed = (
        _removes_or_bans(case, user)
        or case.before.is_out(user)
        or case.may(Capability.CAN_KICK)
    )
    return None if allowed else name_of(Capability.CAN_KICK)


def _own_leaf_remove(case: Case) -> str | None:
    allowed = (
        case.act.actor.kind is ActorKind.JOINER
        or ListRemove(case.actor) in case.own
        or case.may(Capability.CAN_REMOVE_OWN_CLIENT)
    )
    return None if allowed else name_of(Capability.CAN_REMOVE_OWN_CLIENT)


def _removes_or_bans(case: Case, user: str) -> bool:
    return any(
        (isinstance(own, ListRemove) and own.user == user)
        or (isinstance(own, RoleChange) and own.user == user and own.new == BANNED)
        for own in case.own
    )


def _leaf_update(case: Case, effect: LeafUpdate) -> str | None:
    return None if effect.client.user == case.actor else "Update"


# ---- what the room is

_OF_FIELD: Final[Mapping[str, Capability]] = MappingProxyType(
    {
        "name": Capability.CAN_CHANGE_ROOM_NAME,
        "descriptions": Capability.CAN_CHANGE_ROOM_DESCRIPTION,
        "avatar": Capability.CAN_CHANGE_ROOM_AVATAR,
        "subject": Capability.CAN_CHANGE_ROOM_SUBJECT,
        "mood": Capability.CAN_CHANGE_ROOM_MOOD,
    }
)


def _metadata_change(case: Case, effect: MetadataChange) -> str | None:
    for changed in sorted(effect.fields):
        if not case.may(_OF_FIELD[changed]):
            return name_of(_OF_FIELD[changed])
    return None


_OF_COMPONENT: Final[Mapping[int, Capability]] = MappingProxyType(
    {
        ComponentId.ROLES_LIST: Capability.CAN_CHANGE_ROLE_DEFINITIONS,
        ComponentId.PREAUTH_LIST: Capability.CAN_CHANGE_PREAUTHORIZED_USER_LIST,
        ComponentId.BASE_ROOM_POLICY: Capability.CAN_CHANGE_ROOM_MEMBERSHIP_STYLE,
        ComponentId.MLS_OPERATIONAL_POLICY: (
            Capability.CAN_CHANGE_MLS_OPERATIONAL_POLICIES
        ),
        **dict.fromkeys(
            range(
                ComponentId.STATUS_NOTIFICATION_POLICY,
                ComponentId.MESSAGE_EXPIRATION_POLICY + 1,
            ),
            Capability.CAN_CHANGE_OTHER_POLICY_ATTRIBUTE,
        ),
    }
)
"""The capability for each component that can be changed; no other can (D-37)."""


def _component_update(case: Case, effect: ComponentUpdate) -> str | None:
    capability = _OF_COMPONENT.get(effect.component)
    if capability is None:
        return f"component 0x{effect.component:04X}"
    if case.may(capability):
        return None
    if effect.component == ComponentId.ASSET_POLICY:
        entering = {domain_of(own.user) for own in case.own if isinstance(own, ListAdd)}
        if is_new_providers_entry(
            case.before.room.asset_policy,
            case.after.room.asset_policy,
            entering,
            case.facts.asset_domains,
        ):
            return None
    return name_of(capability)


def _forbidden(case: Case, effect: Forbidden) -> str | None:
    del case
    return effect.what


_RULES: Final[Mapping[type, Callable[[Case, Any], str | None]]] = MappingProxyType(
    {
        ListAdd: _list_add,
        ListRemove: _list_remove,
        RoleChange: _role_change,
        LeafAdd: _leaf_add,
        LeafRemove: _leaf_remove,
        LeafUpdate: _leaf_update,
        MetadataChange: _metadata_change,
        ComponentUpdate: _component_update,
        Forbidden: _forbidden,
    }
)
"""The table: each rule returns None, or what the actor lacks."""


# ---- the hub (D-53)


def _hub_lacks(case: Case) -> str | None:
    effect, hub = case.act.effect, domain_of(case.actor)
    before = case.before
    match effect:
        case LeafRemove():
            user = effect.client.user
            allowed = before.is_out(user) or domain_of(user) == hub
        case ListRemove():
            allowed = domain_of(effect.user) == hub and case.is_gone(effect.user)
        case _:
            allowed = False
    reissued = effect in case.facts.reissues and not isinstance(
        effect, LeafAdd | LeafUpdate | Forbidden
    )
    return None if allowed or reissued else "hub"


# ---- who joins by a commit


def _is_own(case: Case) -> bool:
    """Whether a joiner only comes in: by its own name, in its own old place."""
    effect, actor = case.act.effect, case.act.actor
    match effect:
        case ListAdd():
            return effect.user == actor.user
        case LeafAdd() | LeafRemove():
            return effect.client.identity == actor.identity
        case _:
            return False


# ---- verdicts


def lacks(case: Case) -> str | None:
    """Say what the actor of an act lacks; None where the act is allowed."""
    if case.act.actor.kind is ActorKind.HUB:
        return _hub_lacks(case)
    if case.act.actor.kind is ActorKind.JOINER and not _is_own(case):
        return "external commit"
    return _RULES[type(case.act.effect)](case, case.act.effect)


def judge_act(case: Case) -> None:
    """Judge one act.

    Raises:
        PolicyDenied: `sender.removed` the actor is banned or not listed and does more
            than leave; `policy.denied` with what the actor lacks.
    """
    act = case.act
    if act.actor.kind is ActorKind.MEMBER and case.before.is_out(act.actor.user):
        effect = act.effect
        if isinstance(effect, LeafRemove) and effect.client.user == act.actor.user:
            return
        raise _denied(Slug.SENDER_REMOVED, "", act)
    missing = lacks(case)
    if missing is not None:
        raise _denied(Slug.POLICY_DENIED, missing, act)


def _denied(slug: Slug, detail: str, act: Act) -> PolicyDenied:
    return PolicyDenied(
        slug,
        detail,
        references=() if act.reference is None else (act.reference,),
        inline=() if act.inline is None else (act.inline,),
    )
