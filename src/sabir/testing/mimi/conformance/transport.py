"""Certificates, From, Host, profile, directory, paths (MC-001 to MC-008, MC-012)."""

import ssl
from http import HTTPStatus
from typing import Final

from sabir.mimi.directory import Directory, Endpoint, decode_directory
from sabir.testing.mimi.conformance.bodies import group_info_body, key_material_body
from sabir.testing.mimi.conformance.finding import Broken, NotRun, check, expect
from sabir.testing.mimi.conformance.line import Line, Reply, host_and_path
from sabir.testing.mimi.conformance.visit import PROFILE, Card, Visit
from sabir.wire.errors import Malformed

SOMEBODY: Final = "somebody-else.example"


def refused(reply: Reply, status: int, code: str, what: str) -> str:
    """Check that a request was refused as it should be; return what was seen.

    Raises:
        Broken: it was not.
    """
    expect(reply.status == status, f"{what}: {reply} instead of {status}")
    expect(
        reply.code in {code, ""},  # documents without a code are MC-011
        f"{what}: {reply} instead of {code}",
    )
    return f"{what}: {reply}"


async def group_info(visit: Visit, *fields: str, **more: object) -> Reply:
    """Ask for a group that does not exist: a request that changes nothing."""
    room = visit.no_room()
    return await visit.post(
        Endpoint.GROUP_INFO,
        room,
        group_info_body(visit),
        *fields,
        **more,  # type: ignore[arg-type]  # passed on as it came
    )


@check("MC-005", "directory: 200, JSON, all ten keys, https templates, the profile")
async def directory(visit: Visit) -> str:
    """Read the directory; nearly all other checks need it."""
    reply = await visit.get_directory()
    expect(reply.status == HTTPStatus.OK, f"status {reply}")
    kind = reply.fields.get("content-type", "")
    expect(kind.startswith("application/json"), f"Content-Type {kind or 'missing'}")
    try:
        found: Directory = decode_directory(reply.body)
    except Malformed as wrong:
        raise Broken(f"not a directory: {wrong}") from None
    visit.found = found
    missing = [each.value for each in Endpoint if each not in found.templates]
    expect(not missing, f"not offered: {', '.join(missing)}")
    expect(
        found.is_bare or PROFILE in found.profiles,
        f"profiles {', '.join(found.profiles)}",
    )
    return "ten endpoints, " + ("a bare peer" if found.is_bare else PROFILE)


@check("MC-001", "no client certificate: no handshake, or 403")
async def without_certificate(visit: Visit) -> str:
    """Ask without a certificate."""
    card = Card(domain="", tls=visit.plan.nobody)
    try:
        reply = await group_info(visit, card=card)
    except Broken:
        return "no answer"
    return refused(reply, 403, "client-certificate-required", "without a certificate")


@check("D-02", "TLS 1.3 only")
async def old_tls(visit: Visit) -> str:
    """Offer nothing newer than TLS 1.2."""

    def context() -> ssl.SSLContext:
        made = visit.plan.card.tls()
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        return made

    host, port, _ = host_and_path(visit.url(Endpoint.GROUP_INFO, ""))
    line = Line(host, visit.plan.address or (host, port), context())
    try:
        await line.connect()
    except ssl.SSLError as error:
        return f"refused: {error.reason}"
    except OSError as error:
        return f"refused: {type(error).__name__}"
    finally:
        line.close()
    raise Broken("a handshake with TLS 1.2")


@check("MC-002", "From is in the certificate, or 403")
async def another_from(visit: Visit) -> str:
    """Speak for somebody else."""
    seen = []
    for domain in (SOMEBODY, f"sub.{visit.ours}", visit.theirs):
        reply = await group_info(visit, from_=[f"mimi@{domain}"])
        seen.append(refused(reply, 403, "peer-identity-mismatch", f"From {domain}"))
    return f"{len(seen)} others refused"


@check("MC-004", "From missing, repeated, of another form: 400")
async def bad_from(visit: Visit) -> str:
    """Write From as it must not be written."""
    good = f"mimi@{visit.ours}"
    cases: tuple[list[str], ...] = (
        [],
        [good, good],
        [f"other@{visit.ours}"],
        [visit.ours],
        [f"Sabir <{good}>"],
        [f"{good}, {good}"],
        [""],
    )
    for case in cases:
        reply = await group_info(visit, from_=case)
        refused(reply, 400, "bad-from", f"From {case}")
    reply = await group_info(visit, from_=[f"mimi@{visit.ours.upper()}"])
    expect(reply.status == HTTPStatus.OK, f"the domain in capitals: {reply}")
    return f"{len(cases)} forms refused, capitals allowed"


@check("D-03", "another Host: 421")
async def another_host(visit: Visit) -> str:
    """Ask for somebody else's provider."""
    url = visit.url(Endpoint.GROUP_INFO, visit.no_room())
    body = group_info_body(visit)
    reply = await visit.ask("POST", url, body=body, host=SOMEBODY)
    refused(reply, 421, "misdirected", f"Host {SOMEBODY}")
    host, _, _ = host_and_path(url)
    ported = await visit.ask("POST", url, body=body, host=f"{host}:8443")
    expect(ported.status == HTTPStatus.OK, f"a port in Host: {ported}")
    return f"{SOMEBODY} refused, a port ignored"


@check("D-06", "another method: 405", ours=True)
async def another_method(visit: Visit) -> str:
    """GET where only POST is."""
    url = visit.url(Endpoint.GROUP_INFO, visit.no_room())
    return refused(await visit.ask("GET", url), 405, "method-not-allowed", "GET")


@check("MC-007", "the raw path is decoded once; what it and the body say agrees")
async def paths(visit: Visit) -> str:
    """Write the room in the path in several ways."""
    room = visit.no_room()
    plain = room.replace(":", "%3A").replace("/", "%2F")
    body = group_info_body(visit)
    usual = await visit.post(Endpoint.GROUP_INFO, room, body, written=plain)
    expect(usual.status == HTTPStatus.OK, f"encoded as it should be: {usual}")
    lower = await visit.post(
        Endpoint.GROUP_INFO, room, body, written=plain.replace("%3A", "%3a")
    )
    expect(lower.body == usual.body, f"lower-case hex is another room: {lower}")
    for what, written in (
        ("encoded twice", plain.replace("%", "%25")),
        ("not encoded", room),
        ("a broken escape", plain + "%zz"),
        ("no UTF-8", plain + "%FF"),
        ("a user", plain.replace("%2Fr%2F", "%2Fu%2F")),
    ):
        reply = await visit.post(Endpoint.GROUP_INFO, room, body, written=written)
        expect(reply.status in {400, 404}, f"{what}: {reply}")
    one, other = visit.nobody_there(), visit.nobody_there()
    reply = await visit.post(
        Endpoint.KEY_MATERIAL, one, key_material_body(visit, other)
    )
    refused(reply, 400, "path-mismatch", "path and body of two users")
    return "five wrong ways refused, path and body compared"


@check("MC-008", "an unknown peer: 403, before the body is read")
async def stranger(visit: Visit) -> str:
    """Come with a certificate that is not on the list, and never send the body."""
    card = visit.plan.stranger
    if card is None:
        raise NotRun("needs --stranger-certificate, of a domain that is not admitted")
    url = visit.url(Endpoint.GROUP_INFO, visit.no_room())
    reply = await visit.ask(
        "POST", url, card=card, from_=[f"mimi@{card.domain}"], announced=1_000
    )
    return refused(reply, 403, "unknown-peer", card.domain)


@check("MC-012", "an unknown profile: 400; none: accepted", ours=True)
async def profiles(visit: Visit) -> str:
    """Name profiles."""
    other = await group_info(visit, "Mimi-Profile: mimi99-z")
    refused(other, 400, "unsupported-profile", "mimi99-z")
    for fields in (
        (),
        (f"Mimi-Profile: {PROFILE}",),
        (f"Mimi-Profile: mimi99-z, {PROFILE}",),
    ):
        reply = await group_info(visit, *fields)
        expect(reply.status == HTTPStatus.OK, f"{fields}: {reply}")
    return "mimi99-z refused"
