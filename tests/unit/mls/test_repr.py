"""What is printed of an object, in a log or a traceback, has no secret and no text."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import sabir.crypto
import sabir.mls
from sabir.crypto.secrets import Secret
from sabir.mls.components import AppDataDictionary, ApplicationFraming, MediaType
from sabir.mls.framing import PrivateMessage, decode_message
from sabir.mls.group.external import PendingExternalJoin
from sabir.mls.group.group import MlsGroup, stage_external_join, stage_welcome
from sabir.mls.group.messages import open_message, who_sent
from sabir.mls.group.process import ApplicationMessage, OwnEcho
from sabir.mls.proposals import Add, AppDataUpdate, AppEphemeral
from sabir.mls.ratchet import Head, MessageKey
from sabir.testing.mls.snapshots import reachable
from tests.unit.mls.group.world import Room, client

TEXT = b"this is nobody's business"
AAD = b"and this not of a log"

SHOWN = {
    "encryption_key": "public",
    "framed_content_tbs_hash": "a hash",
    "certificate": "of a provider, or of an authority",
    "group_id": "chosen by the application; hubs see it",
    "hpke_id": "a constant",
    "confirmed_transcript_hash": "a hash",
    "credential_key": "public",
    "init_key": "public",
    "interim_hash": "a hash",
    "kem_output": "public",
    "name": "of a media type",
    "new_member": "a hash",
    "own_updates": "by reference, a hash; the values are secrets",
    "parameters": "of a media type",
    "partial_context_hash": "a hash",
    "psk_group_id": "as group_id",
    "psk_id": "a name; hubs see it",
    "psk_nonce": "public",
    "public": "a public key",
    "public_key": "public",
    "receiver": "a hash",
    "reference": "a hash",
    "references": "hashes",
    "signature": "public",
    "signature_key": "public",
    "signature_public": "public",
    "tree_hash": "a hash",
    "aad": "goes in the clear; of our own calls only",
    "tree": "public",
}
"""Fields of octets that are printed, and why they may be."""


def dataclasses() -> Iterator[type]:
    for package in (sabir.mls, sabir.crypto):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for each in vars(importlib.import_module(found.name)).values():
                if (
                    inspect.isclass(each)
                    and is_dataclass(each)
                    and each.__module__ == found.name
                ):
                    yield each


def test_only_public_octets_are_printed() -> None:
    shown = {
        field.name
        for each in dataclasses()
        for field in fields(each)
        if field.repr and "bytes" in str(get_type_hints(each).get(field.name, ""))
    }
    assert shown == SHOWN.keys()


def secrets_of(*roots: object) -> Iterator[bytes]:
    for each in reachable(*roots):
        if isinstance(each, Secret):
            yield each.reveal()
        elif isinstance(each, Head):
            yield each.secret
        elif isinstance(each, MessageKey):
            yield each.key
            yield each.nonce


def printed(*roots: object) -> Iterator[tuple[type, str]]:
    for each in reachable(*roots):
        if type(each).__module__.startswith("sabir."):
            yield type(each), repr(each)


def room_and_all() -> tuple[object, ...]:
    """Make one of everything that a program gets into its hands."""
    room = Room.of("ann", "ben", "cat")
    ann, ben, env = room["ann"], room["ben"], room.env
    room.clients["dan"] = client("dan")
    sent = [ann.encrypt(env, TEXT, aad=AAD) for _ in range(3)]
    body, epoch = decode_message(sent[1].message).body, ben.state.epoch
    assert isinstance(body, PrivateMessage)
    assert epoch is not None
    data = who_sent(epoch, body)
    opened = open_message(epoch, ben.public.services, body, data)
    heard = ben.process(env, sent[2].message)
    assert isinstance(heard, ApplicationMessage)
    echo = ann.process(env, sent[0].message)
    assert isinstance(echo, OwnEcho)
    package, secrets = room.key_package("dan")
    proposed = ben.propose(env, Add(package), aad=AAD)
    received = ann.process(env, proposed.message)
    pending = ann.commit(env, force_path=True)
    staged = ben.process(env, pending.commit)
    welcome = pending.welcome_for_sequencer()
    assert welcome is not None
    invited = stage_welcome(room.clients["dan"], welcome, [secrets], member_of=())
    info = room["cat"].group_info(with_tree=True)
    join = stage_external_join(env, client("eve"), info, member_of=())
    loaded = PendingExternalJoin.load(client("eve"), join.save())
    again = MlsGroup.load(room.clients["ben"], ben.save())
    return (
        *(room, sent, body, data, opened, heard, echo, proposed, received, pending),
        *(staged, invited, info, join, loaded, again, secrets, package),
        AppDataUpdate(7, TEXT),
        AppEphemeral(7, TEXT),
        ApplicationFraming(MediaType(b"text/plain"), TEXT),
        AppDataDictionary(((7, TEXT),)),
    )


def test_nothing_secret_is_printed() -> None:
    roots = room_and_all()
    hidden = {TEXT, AAD, *(each for each in secrets_of(*roots) if len(each) > 8)}
    assert len(hidden) > 40
    forms = [form for each in hidden for form in (repr(each)[2:-1], each.hex())]
    kinds = set()
    for kind, text in printed(*roots):
        kinds.add(kind.__name__)
        assert not any(form in text for form in forms), kind
    assert {"ApplicationMessage", "OpenedPrivate", "StagedCommit", "Epoch"} <= kinds
