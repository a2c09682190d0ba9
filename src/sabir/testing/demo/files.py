"""Files in both directions: each is downloaded on the other side and compared."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sabir.testing.clients.matrix import Seen
from sabir.testing.clients.stanza import Arrived
from sabir.testing.demo import samples
from sabir.testing.demo.stage import Stage
from sabir.testing.demo.step import Step, Way, Wrong, same
from sabir.testing.demo.words_to_matrix import is_message

Play = Callable[[Stage], Awaitable[float]]

_SFS: Final = "urn:xmpp:sfs:0"
_METADATA: Final = "urn:xmpp:file:metadata:0"
_VOICE: Final = "org.matrix.msc3245.voice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file to send; `make` is called only when its turn comes."""

    name: str
    media_type: str
    msgtype: str
    make: Callable[[], bytes]


def to_xmpp(sample: Sample) -> Play:
    """Alice shows a file; Xenia's client downloads it."""

    async def play(stage: Stage) -> float:
        octets = sample.make()
        sent_s = time.monotonic()
        if sample.msgtype == "voice":
            duration_ms = samples.VOICE_MS
            await stage.alice.send_voice(stage.matrix_room, octets, duration_ms)
        else:
            await stage.alice.send_file(
                stage.matrix_room,
                octets,
                media_type=sample.media_type,
                file_name=sample.name,
            )
        heard = await stage.xmpp_sees(lambda message: message.body is not None)
        url = heard.file_url
        if url is None:
            raise Wrong(f"no address of a file (XEP-0066) in {heard}")
        same("body for clients without XEP-0447", heard.body, url)
        same("media type (XEP-0446)", _fact(heard, "media-type"), sample.media_type)
        same("file name (XEP-0446)", _fact(heard, "name"), sample.name)
        _compare(await stage.xenia.download(url), octets)
        return heard.arrived_s - sent_s

    return play


def _fact(heard: Arrived, name: str) -> str | None:
    path = f"{{{_SFS}}}file-sharing/{{{_METADATA}}}file/{{{_METADATA}}}{name}"
    return heard.xml.findtext(path)


def to_matrix(sample: Sample) -> Play:
    """Xenia shows a file; Alice's client downloads it, as somebody logged in."""

    async def play(stage: Stage) -> float:
        octets = sample.make()
        sent_s = time.monotonic()
        await stage.xenia.send_file(
            stage.xmpp_room, octets, sample.name, sample.media_type
        )
        heard: Seen = await stage.matrix_sees(is_message)
        info: dict[str, Any] = heard.content.get("info", {})
        same("msgtype", heard.content.get("msgtype"), sample.msgtype)
        same("filename", heard.content.get("filename"), sample.name)
        same("mimetype", info.get("mimetype"), sample.media_type)
        same("size", info.get("size"), len(octets))
        same("sender", heard.sender, await stage.ghost("Xenia"))
        _compare(await stage.alice.download(str(heard.content.get("url"))), octets)
        return heard.arrived_s - sent_s

    return play


def _compare(came: bytes, expected: bytes) -> None:
    same("size", len(came), len(expected))
    same("SHA-256", sha256(came).hexdigest(), sha256(expected).hexdigest())


def _both(name: str, natively: tuple[str, str], *sample: Sample) -> tuple[Step, Step]:
    return (
        Step(way=Way.TO_XMPP, name=name, natively=natively[0], play=to_xmpp(sample[0])),
        Step(
            way=Way.TO_MATRIX,
            name=name,
            natively=natively[1],
            play=to_matrix(sample[1]),
        ),
    )


IMAGES: Final = _both(
    "1 MB image",
    (
        "XEP-0066/0447, image/png, same SHA-256",
        "m.image, image/png, same SHA-256 after authenticated download",
    ),
    Sample(
        name="harbour.png",
        media_type="image/png",
        msgtype="m.image",
        make=lambda: samples.image(1),
    ),
    Sample(
        name="lighthouse.png",
        media_type="image/png",
        msgtype="m.image",
        make=lambda: samples.image(2),
    ),
)
FILES: Final = _both(
    "20 MB file",
    (
        "XEP-0066/0447, same name and SHA-256",
        "m.file, same name and SHA-256 after authenticated download",
    ),
    Sample(
        name="charts.zip",
        media_type="application/zip",
        msgtype="m.file",
        make=lambda: samples.file(3),
    ),
    Sample(
        name="soundings.zip",
        media_type="application/zip",
        msgtype="m.file",
        make=lambda: samples.file(4),
    ),
)
VOICE: Final = _both(
    "voice note",
    (
        "XEP-0066/0447, audio/ogg, same SHA-256",
        "m.audio (XMPP has no mark of voice), same SHA-256",
    ),
    Sample(
        name="Voice message.ogg",
        media_type="audio/ogg",
        msgtype="voice",
        make=samples.voice,
    ),
    Sample(
        name="voice.ogg", media_type="audio/ogg", msgtype="m.audio", make=samples.voice
    ),
)
