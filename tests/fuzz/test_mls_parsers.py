"""Any octets, at every parser of MLS: a value, or a documented error; nothing else.

What is accepted is the one encoding of its value: writing the fields gives the same
octets. No input makes a parser take memory out of proportion to its length.

A run prints its seed; `SABIR_FUZZ_SEED=<seed>` repeats it.
"""

import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from sabir.mls import (
    capabilities,
    commit,
    components,
    credentials,
    extensions,
    framing,
    group_context,
    group_info,
    key_packages,
    leaf_node,
    parent_node,
    proposals,
    psk_ids,
    ratchet_tree,
    semi_private,
    tree_options,
    welcome,
)
from sabir.mls.client import read_key_package_secrets
from sabir.mls.codepoints import ContentType, ProposalKind
from sabir.mls.errors import MlsInvalid, MlsMisuse, MlsUnsupported
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.public_store import encode_public_group, read_public_group
from sabir.testing.mls.clients import SystemEnv, make_client
from sabir.testing.mls.vectors import Strict, cases, load
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, read_whole

SHORT: Final = 1_000
"""Inputs for each parser in `make test`."""
LONG: Final = 1_000_000
"""Inputs for each parser in `make soak`."""

GROWTH_MAX: Final = 4
"""How many times its own size an input may take that claims more than it has."""
DENSE_GROWTH_MAX: Final = 64
"""The same for one made of the smallest elements: each becomes an object. 54 seen."""
SLACK_OCTETS: Final = 64 << 10
"""What a call takes whatever its input: frames, errors, caches that grow."""

SEEDS_MAX: Final = 24
SEED_OCTETS_MAX: Final = 8_000
"""Longer vectors would spend the time on few mutations."""

Parse = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Parser:
    """One parser: what it reads, how a value is written, where seeds are found."""

    parse: Parse
    keys: tuple[str, ...] = ()
    """Fields of `messages.json` that hold such values."""
    head: bytes = b""
    """What the vectors leave out in front of the value."""
    skip: int = 0
    """Octets that the vectors have in front of the value."""
    more: tuple[bytes, ...] = field(default=(), repr=False)
    write: Callable[[Any], bytes] | None = lambda value: bytes(value.encode())
    """None where a value does not say all that was read."""
    refusals: tuple[type[Exception], ...] = (Malformed, MlsInvalid, MlsUnsupported)

    def written(self, value: object, octets: bytes) -> bool:
        """Tell whether writing a value gives what it was read from."""
        return self.write is None or self.write(value) == octets

    def seeds(self, vectors: list[Strict]) -> list[bytes]:
        found = [
            self.head + vector.octets(key)[self.skip :]
            for key in self.keys
            for vector in vectors
        ]
        short = sorted({*found, *self.more}, key=len)
        assert short, "a parser without an example"
        assert len(short[0]) < SEED_OCTETS_MAX
        return [seed for seed in short if len(seed) < SEED_OCTETS_MAX][:SEEDS_MAX]


def whole(read: Callable[[Reader], Any]) -> Parse:
    return lambda octets: read_whole(octets, read)


PROPOSALS: Final = {
    "add": ProposalKind.ADD,
    "update": ProposalKind.UPDATE,
    "remove": ProposalKind.REMOVE,
    "pre_shared_key": ProposalKind.PRE_SHARED_KEY,
    "re_init": ProposalKind.RE_INIT,
    "external_init": ProposalKind.EXTERNAL_INIT,
    "group_context_extensions": ProposalKind.GROUP_CONTEXT_EXTENSIONS,
}

BASIC: Final = credentials.BasicCredential(identity=b"ada").raw
X509: Final = credentials.X509Credential(certificates=(b"one", b"two")).raw
MULTI: Final = credentials.MultiCredential(
    bindings=(
        credentials.CredentialBinding(
            cipher_suite=1,
            credential=credentials.BasicCredential(identity=b"ada"),
            credential_key=b"key",
            signature=b"signature",
        ),
    ),
    weak=False,
).raw
DICTIONARY: Final = components.AppDataDictionary(((1, b"\x02\x00\x20"), (3, b"")))
MEDIA: Final = components.MediaType(b"text/plain", ((b"charset", b"utf-8"),))
REFERENCE: Final = commit.ProposalReference(b"reference")
CAPABILITIES: Final = capabilities.Capabilities((1,), (1, 2), (6,), (8, 9, 10), (1, 2))
PARENT: Final = parent_node.ParentNode(b"key", b"hash", (1, 5))
CONTEXT: Final = group_context.GroupContext(
    cipher_suite=1,
    group_id=b"room",
    epoch=3,
    tree_hash=bytes(32),
    confirmed_transcript_hash=bytes(32),
    extensions=(
        extensions.Extension(
            extensions.APP_DATA_DICTIONARY,
            components.AppDataDictionary(
                (
                    (
                        components.CONTENT_MEDIA_TYPES,
                        components.encode_media_types([MEDIA]),
                    ),
                )
            ).encode(),
        ),
    ),
)
RECEIVERS: Final = (
    semi_private.ExternalReceiver(
        bytes(32), credentials.read_credential(Reader(BASIC))
    ),
    semi_private.ExternalReceiver(b"key", credentials.read_credential(Reader(X509))),
    semi_private.ExternalReceiver(b"key", credentials.read_credential(Reader(MULTI))),
)
SEMI_PRIVATE: Final = tuple(
    semi_private.SemiPrivateMessage(
        b"room",
        5,
        kind,
        b"aad",
        b"partial context hash",
        (
            semi_private.KeyForExternalReceiver(
                b"receiver", commit.HPKECiphertext(b"kem output", b"sealed")
            ),
        )
        * keys,
        b"content hash",
        b"sender data",
        b"ciphertext",
    )
    for kind in (ContentType.PROPOSAL, ContentType.COMMIT)
    for keys in (0, 1, 3)
)
PATHS: Final = tuple(
    vector.octets("update_path")
    for case in cases("treekem")
    for vector in load(case)["update_paths"][:1]
)


def _stored() -> tuple[MlsGroup, bytes]:
    """Return a group with something in every section, and its rows as one string."""
    env = SystemEnv()
    ada, bob, eve = (make_client(env, name) for name in ("ada", "bob", "eve"))
    group = MlsGroup.create(env, ada, b"room")
    package, secrets = bob.key_package(env, suite=1)
    group.commit(env, [proposals.Add(package)])
    welcome = group.merge_pending(env).welcome
    assert welcome is not None
    joined = accept(
        bob,
        stage_welcome(bob, framing.encode_message(welcome), [secrets], member_of=()),
    )
    joined.process(env, group.encrypt(env, b"hello").message)
    group.commit(env)
    group.merge_pending(env)
    group.propose_update(env)
    group.propose(env, proposals.Add(eve.key_package(env, suite=1)[0]))
    group.commit(env)
    return group, tls.vector(
        tls.opaque(key) + tls.opaque(value) for key, value in group.save().items()
    )


GROUP, ROWS = _stored()
CLIENT: Final = make_client(SystemEnv(), "reader")
STORE: Final = (Malformed, MlsInvalid, MlsUnsupported, MlsMisuse)
"""What is wrong with our own store is our own fault."""


def _load(octets: bytes) -> MlsGroup:
    pairs = read_whole(octets, lambda reader: reader.vector(_read_row))
    return MlsGroup.load(CLIENT, dict(pairs))


def _read_row(reader: Reader) -> tuple[bytes, bytes]:
    return reader.opaque(), reader.opaque()


def _pack_ids(ids: tuple[int, ...]) -> bytes:
    return tls.vector(map(tls.uint16, ids))


PARSERS: Final[dict[str, Parser]] = {
    "MLSMessage": Parser(
        framing.decode_message,
        (
            "mls_welcome",
            "mls_group_info",
            "mls_key_package",
            "public_message_application",
            "public_message_proposal",
            "public_message_commit",
            "private_message",
        ),
    ),
    "Welcome": Parser(whole(welcome.read_welcome), ("mls_welcome",), skip=4),
    "GroupInfo": Parser(whole(group_info.read_group_info), ("mls_group_info",), skip=4),
    "KeyPackage": Parser(
        whole(key_packages.read_key_package), ("mls_key_package",), skip=4
    ),
    "PublicMessage": Parser(
        whole(framing.read_public_message), ("public_message_commit",), skip=4
    ),
    "PrivateMessage": Parser(
        whole(framing.read_private_message), ("private_message",), skip=4
    ),
    "AuthenticatedContent": Parser(
        whole(framing.read_authenticated_content),
        more=tuple(
            load(case).octets("authenticated_content")
            for case in cases("transcript-hashes")
        ),
    ),
    "FramedContent": Parser(
        whole(framing.read_framed_content),
        more=tuple(
            framing.FramedContent(b"room", 5, framing.Sender.member(2), b"", body).raw
            for body in (b"text", proposals.Remove(3), commit.Commit((REFERENCE,)))
        ),
    ),
    "Sender": Parser(
        whole(framing.read_sender),
        more=(b"\x01\0\0\0\x05", b"\x02\0\0\0\0", b"\x03", b"\x04"),
    ),
    "GroupSecrets": Parser(whole(welcome.read_group_secrets), ("group_secrets",)),
    "ratchet_tree": Parser(
        whole(ratchet_tree.read_ratchet_tree),
        more=tuple(load(case).octets("tree") for case in cases("tree-validation")),
    ),
    "ParentNode": Parser(whole(parent_node.read_parent_node), more=(PARENT.raw,)),
    "LeafNode": Parser(whole(leaf_node.read_leaf_node), ("update_proposal",)),
    "UpdatePath": Parser(whole(commit.read_update_path), more=PATHS),
    "Commit": Parser(whole(commit.read_commit), ("commit",)),
    "GroupContext": Parser(
        whole(group_context.read_group_context), more=(CONTEXT.raw,)
    ),
    "Credential": Parser(whole(credentials.read_credential), more=(BASIC, X509, MULTI)),
    "Capabilities": Parser(
        whole(capabilities.read_capabilities), more=(CAPABILITIES.raw,)
    ),
    "PreSharedKeyID": Parser(whole(psk_ids.read_psk_id), ("pre_shared_key_proposal",)),
    "Extensions": Parser(
        whole(extensions.read_extensions),
        ("group_context_extensions_proposal",),
        more=(extensions.encode_extensions(CONTEXT.extensions),),
        write=extensions.encode_extensions,
    ),
    "RequiredCapabilities": Parser(
        whole(extensions.read_required_capabilities),
        more=(extensions.RequiredCapabilities((6,), (8, 9), (1,)).encode(),),
    ),
    "ExternalSenders": Parser(
        whole(extensions.read_external_senders),
        more=(
            extensions.encode_external_senders(
                [
                    extensions.ExternalSender(
                        bytes(32), credentials.BasicCredential(identity=b"hub")
                    )
                ]
            ),
        ),
        write=extensions.encode_external_senders,
    ),
    "AppDataDictionary": Parser(
        whole(components.read_dictionary), more=(DICTIONARY.encode(),)
    ),
    "ComponentsList": Parser(
        whole(components.read_components),
        more=(components.encode_components((1, 2, 0x20)),),
        write=_pack_ids,
    ),
    "SafeAAD": Parser(
        lambda octets: components.read_safe_aad(octets, 1 << 16),
        more=(components.encode_safe_aad({1: b"one", 0x20: b""}),),
        write=components.encode_safe_aad,
    ),
    "MediaTypeList": Parser(
        whole(components.read_media_types),
        more=(components.encode_media_types([MEDIA, components.MediaType(b"a/b")]),),
        write=components.encode_media_types,
    ),
    "ApplicationFraming": Parser(
        lambda octets: components.read_application_framing(CONTEXT, octets),
        more=(components.ApplicationFraming(MEDIA, b"hello").encode(),),
        write=None,
    ),
    "MediaType": Parser(
        whole(components.read_media_type),
        more=(MEDIA.encode(), components.MediaType(b"").encode()),
    ),
    "SemiPrivateMessage": Parser(
        whole(semi_private.read_semi_private_message),
        more=tuple(message.raw for message in SEMI_PRIVATE),
    ),
    "semi-private MLSMessage": Parser(
        lambda octets: framing.decode_message(octets, semi_private=True),
        more=tuple(map(framing.encode_message, SEMI_PRIVATE)),
    ),
    "external_receivers": Parser(
        whole(semi_private.read_external_receivers),
        more=(
            semi_private.encode_external_receivers(RECEIVERS),
            semi_private.encode_external_receivers(RECEIVERS[:1]),
        ),
        write=semi_private.encode_external_receivers,
    ),
    "RatchetTreeOption": Parser(
        whole(lambda reader: tree_options.read_tree_option(reader, 1 << 20)),
        more=(b"\x04", tree_options.RatchetTreeOption(b"\x03abc").encode()),
    ),
    "PartialGroupInfo": Parser(
        whole(tree_options.read_partial_group_info),
        more=(
            tree_options.PartialGroupInfo(
                tree_options.TreePresence.NONE, CONTEXT.extensions, b"signature"
            ).encode(),
        ),
    ),
    **{
        f"{name} proposal": Parser(
            whole(proposals.read_proposal),
            (f"{name}_proposal",),
            head=tls.uint16(kind),
        )
        for name, kind in PROPOSALS.items()
    },
    "other proposals": Parser(
        whole(proposals.read_proposal),
        more=(
            proposals.AppDataUpdate(0x20, b"new").raw,
            proposals.AppDataUpdate(0x20, None).raw,
            proposals.AppEphemeral(0x20, b"now").raw,
            proposals.SelfRemove().raw,
        ),
    ),
    "stored group": Parser(_load, more=(ROWS,), write=None, refusals=STORE),
    "stored public group": Parser(
        lambda octets: read_public_group(CLIENT.services, octets),
        more=(encode_public_group(GROUP.public),),
        write=encode_public_group,
        refusals=STORE,
    ),
    "stored key package": Parser(
        whole(read_key_package_secrets),
        more=(CLIENT.key_package(SystemEnv(), suite=1)[1].encode(),),
    ),
}


@pytest.fixture(scope="module")
def seeds() -> dict[str, list[bytes]]:
    vectors = [load(case) for case in cases("messages")]
    return {name: parser.seeds(vectors) for name, parser in PARSERS.items()}


def _mutated(seed: bytes, dice: random.Random) -> bytes:
    octets = bytearray(seed)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(octets)) if octets else 0
        match dice.randrange(6):
            case 0:
                octets[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                octets[at:at] = dice.randbytes(dice.randint(1, 9))
            case 2:
                del octets[at : at + dice.randint(1, 9)]
            case 3:
                octets[at : at + 1] = bytes([(octets or b"\0")[at] ^ dice.choice(BITS)])
            case 4:
                octets[at : at + 1] = dice.choice(LENGTHS)
            case _:
                octets += octets[at : at + dice.randint(1, 40)]
    return bytes(octets)


BITS: Final = tuple(1 << bit for bit in range(8))
LENGTHS: Final = (
    *(b"\x00", b"\x3f", b"\x40\x00", b"\x40\x40", b"\x7f\xff", b"\x80\x00\x40\x00"),
    *(b"\xbf\xff\xff\xff", b"\xc0", b"\xff"),
)
"""Lengths at the edges of their forms, and beyond."""


def _inputs(known: list[bytes], count: int, dice: random.Random) -> Iterator[bytes]:
    for number in range(count):
        if number % 5 == 0:
            yield dice.randbytes(dice.randint(0, 120))
        else:
            yield _mutated(dice.choice(known), dice)


def _run(parser: Parser, known: list[bytes], count: int) -> dict[str, int]:
    seed = int(os.environ.get("SABIR_FUZZ_SEED", time.time_ns()))
    print(f"seed {seed}")
    found = {"values": 0, "refused": 0}
    for octets in _inputs(known, count, random.Random(seed)):
        try:
            value = parser.parse(octets)
        except parser.refusals:
            found["refused"] += 1
        except Exception as error:
            error.add_note(f"seed {seed}: {octets.hex()}")
            raise
        else:
            found["values"] += 1
            assert parser.written(value, octets), f"seed {seed}: {octets.hex()}"
    return found


@pytest.mark.parametrize("name", PARSERS)
def test_examples_are_read_and_written_back(
    name: str, seeds: dict[str, list[bytes]]
) -> None:
    for octets in seeds[name]:
        assert PARSERS[name].written(PARSERS[name].parse(octets), octets)


@pytest.mark.parametrize("name", PARSERS)
def test_every_beginning_and_every_end_too_many_is_refused(
    name: str, seeds: dict[str, list[bytes]]
) -> None:
    """Only a value's own end is one: C03 or C04 before it, C05 behind."""
    parser = PARSERS[name]
    for octets in seeds[name][:2]:
        for length in range(min(len(octets), 3_000)):
            with pytest.raises(parser.refusals) as refused:
                parser.parse(octets[:length])
            if isinstance(refused.value, Malformed):
                assert refused.value.rule in {"C03", "C04"}, length
        with pytest.raises((Malformed, MlsMisuse), match="rule C05"):
            parser.parse(octets + b"\0")


@pytest.mark.parametrize("name", PARSERS)
def test_any_octets_are_a_value_or_refused(
    name: str, seeds: dict[str, list[bytes]]
) -> None:
    found = _run(PARSERS[name], seeds[name], SHORT)
    assert found["refused"] > SHORT // 10
    assert sum(found.values()) == SHORT


def _run_rows(count: int) -> dict[str, int]:
    """Change one row of a stored group at a time, its key or its value."""
    seed = int(os.environ.get("SABIR_FUZZ_SEED", time.time_ns()))
    print(f"seed {seed}")
    dice = random.Random(seed)
    found = {"loaded": 0, "refused": 0}
    rows = GROUP.save()
    for _ in range(count):
        key, value = dice.choice(list(rows.items()))
        changed = {other: rows[other] for other in rows if other != key}
        if dice.randrange(4) == 0:
            key = _mutated(key, dice)
        else:
            value = _mutated(value, dice)
        try:
            MlsGroup.load(CLIENT, {**changed, key: value})
        except STORE:
            found["refused"] += 1
        except Exception as error:
            error.add_note(f"seed {seed}: row {key.hex()}: {value.hex()}")
            raise
        else:
            found["loaded"] += 1
    return found


def test_any_row_of_a_stored_group_is_read_or_refused() -> None:
    found = _run_rows(SHORT)
    assert found["refused"] > SHORT // 10
    assert found["loaded"] > SHORT // 100


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_rows_of_a_stored_group_are_read_or_refused() -> None:
    found = _run_rows(LONG)
    print(found)
    assert sum(found.values()) == LONG


def _peak(parser: Parser, octets: bytes) -> int:
    """Return how much memory parsing took at most, in octets."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        kept = parser.parse(octets)
    except parser.refusals:
        kept = None
    peak = tracemalloc.get_traced_memory()[1] - before
    del kept
    return peak


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("name", PARSERS)
def test_claimed_lengths_take_no_memory(
    name: str, seeds: dict[str, list[bytes]]
) -> None:
    """2^30-1 octets claimed, ten there: at every place of an example, and nested."""
    bomb = b"\xbf\xff\xff\xff"
    parser = PARSERS[name]
    octets = seeds[name][0][:400]
    inputs = [octets[:at] + bomb + bytes(10) for at in range(len(octets))]
    inputs += [octets[:at] + bomb * 50 for at in range(0, len(octets), 7)]
    for bad in inputs:
        assert _peak(parser, bad) < GROWTH_MAX * len(bad) + SLACK_OCTETS, bad.hex()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("name", PARSERS)
def test_many_small_elements_take_memory_in_proportion(
    name: str, seeds: dict[str, list[bytes]]
) -> None:
    """A long vector of each of some octets, at every place of an example."""
    parser = PARSERS[name]
    octets = seeds[name][0][:300]
    size = 40_000
    head = tls.varint(size)
    for filler in (b"\0", b"\1\0", b"\0\1", b"\1\1\0", b"\2\0", b"\0\0\1"):
        body = head + (filler * size)[:size]
        for at in range(0, len(octets), 3):
            bad = octets[:at] + body
            peak = _peak(parser, bad)
            assert peak < DENSE_GROWTH_MAX * len(bad) + SLACK_OCTETS, (at, filler)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", PARSERS)
def test_a_million_octet_strings_are_values_or_refused(
    name: str, seeds: dict[str, list[bytes]]
) -> None:
    found = _run(PARSERS[name], seeds[name], LONG)
    print(found)
    assert sum(found.values()) == LONG
