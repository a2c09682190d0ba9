"""People of rooms in tests: `ann` of a.example, her `ann/2`, `b.example:ben`."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import SUITE, room_client, room_services
from sabir.mimi.structs.fanout import FanoutMessage
from sabir.mimi.uris import device_uri, domain_of, user_of
from sabir.mls.client import Identity, KeyPackageSecrets, MlsClient
from sabir.mls.components import encode_safe_aad
from sabir.mls.credentials import BasicCredential
from sabir.mls.env import Env
from sabir.mls.extensions import Extensions
from sabir.mls.group.epoch import Status
from sabir.mls.group.external import PendingExternalJoin
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.group.process import ApplicationMessage, StagedCommit
from sabir.mls.proposals import Add
from sabir.mls.welcome import Welcome
from sabir.testing.mls.clients import PskTable

HOME: Final = "a.example"
"""Whose people have no domain in their name."""

NO_AAD: Final = encode_safe_aad({})
"""A SafeAAD that says nothing."""


def device_of(name: str) -> str:
    """Return the client URI of a name in a test."""
    who, _, number = name.partition("/")
    host, _, who = who.rpartition(":")
    return device_uri(host or HOME, who, number or "1")


def user_named(name: str) -> str:
    """Return the user URI of a name in a test."""
    return user_of(device_of(name))


def domain_named(name: str) -> str:
    """Return the provider of a name in a test."""
    return domain_of(device_of(name))


@dataclass(eq=False)
class Player:
    """A client in a test.

    Attributes:
        name: in the test.
        client: its keys and settings.
        group: its membership, if it has one.
        joining: a commit by which it joins.
        stock: secrets of its KeyPackages by reference.
        heard: fanned-out messages that it was given, in order.
        read: application data that it could read.
    """

    name: str
    client: MlsClient
    group: MlsGroup | None = None
    joining: PendingExternalJoin | None = None
    stock: dict[bytes, KeyPackageSecrets] = field(default_factory=dict)
    heard: list[FanoutMessage] = field(default_factory=list)
    read: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, env: Env, name: str, leaf_extensions: Extensions = ()) -> "Player":
        """Make a client with fresh keys."""
        credential = BasicCredential(device_of(name).encode())
        identity = Identity.generate(env, SUITES[SUITE], credential)
        client = room_client(room_services(), PskTable(), [identity])
        if leaf_extensions:
            client.leaf_extensions = leaf_extensions
        return cls(name, client)

    @property
    def user(self) -> str:
        """Return the user's URI."""
        return user_named(self.name)

    @property
    def device(self) -> str:
        """Return the client's URI."""
        return device_of(self.name)

    @property
    def domain(self) -> str:
        """Return the provider."""
        return domain_named(self.name)

    @property
    def identity(self) -> Identity:
        """Return key and credential."""
        return self.client.identity(SUITES[SUITE])

    @property
    def member(self) -> MlsGroup:
        """Return its membership."""
        assert self.group is not None, f"{self.name} is in no group"
        return self.group

    @property
    def is_member(self) -> bool:
        """Whether it is in the group, as far as it knows."""
        return self.group is not None and self.group.status is not Status.REMOVED

    def key_package(self, env: Env) -> Add:
        """Make a KeyPackage; return the proposal to add it."""
        package, secrets = self.client.key_package(env, suite=SUITE)
        self.stock[package.reference(SUITES[SUITE])] = secrets
        return Add(package)

    # ---- hearing

    def hear(self, env: Env, message: FanoutMessage) -> None:
        """Process what the hub sends, as a member or as who becomes one."""
        self.heard.append(message)
        body = message.message.body
        if isinstance(body, Welcome):
            self._join(message, body)
        elif self.joining is not None and message.message.raw == self.joining.commit:
            self.group, self.joining = accept(self.client, self.joining), None
            self._hear_all(env, message)
        elif self.is_member:
            self._hear_member(env, message)

    def _join(self, message: FanoutMessage, welcome: Welcome) -> None:
        assert message.tree is not None
        secrets = [
            self.stock.pop(entry.new_member)
            for entry in welcome.secrets
            if entry.new_member in self.stock
        ]
        if secrets:
            staged = stage_welcome(
                self.client, welcome, secrets, member_of=(), tree=message.tree.tree
            )
            self.group = accept(self.client, staged)

    def _hear_member(self, env: Env, message: FanoutMessage) -> None:
        group = self.member
        if group.pending is not None and message.message.raw == group.pending.commit:
            group.merge_pending(env)
        else:
            self._process(env, message.message.raw)
        self._hear_all(env, message)

    def _hear_all(self, env: Env, message: FanoutMessage) -> None:
        for more in message.more if self.is_member else ():
            self._process(env, more.raw)

    def _process(self, env: Env, raw: bytes) -> None:
        group = self.member
        found = group.process(env, raw)
        if isinstance(found, StagedCommit):
            group.merge(env, found)
        elif isinstance(found, ApplicationMessage):
            self.read.append(found.data)

    def forget(self, waiting: Collection[bytes]) -> None:
        """Take back what the hub refused; `waiting` is what waited before."""
        if self.group is not None:
            self.group.clear_pending()
            public = self.group.public
            new = set(public.pending).difference(waiting)
            public.pending = public.pending.without(new)
