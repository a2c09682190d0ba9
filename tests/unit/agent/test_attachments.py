"""Files that do not come are reported, and hold nobody up for ever."""

from pathlib import Path

import pytest

from sabir.agent import attachments
from sabir.networks.api import ChatAvatarChanged, NativeMedia
from tests.unit.agent.bridge import CHAT, bridged


async def test_a_download_that_breaks_is_tried_again(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.downloads_cut_after.extend([0, 10])
        bridge.a.sends_file(CHAT, "ada", b"x" * 100)
        (there,) = await bridge.until_sent("b", 1)
        assert bridge.b.files[there["media"][0]["handle"]] == b"x" * 100


async def test_a_file_that_never_comes_is_replaced_by_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MEDIA_ATTEMPTS_MAX", 2)
    async with bridged(tmp_path) as bridge:
        bridge.a.downloads_cut_after.extend([0] * 2)
        bridge.a.sends_file(CHAT, "ada", b"x" * 100)
        bridge.a.says(CHAT, "ada", "next")
        there, following = await bridge.until_sent("b", 2)
        assert "could not be fetched" in there["text"]
        assert following["text"] == "next"


async def test_a_file_that_is_gone_is_replaced_by_words(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.sends_file(CHAT, "ada", b"x" * 100, caption="look")
        await bridge.until_sent("b", 1)
        bridge.a.sends_file(CHAT, "ada", b"y" * 100)
        bridge.a.files.clear()
        _, there = await bridge.until_sent("b", 2)
        assert "no such file" in there["text"]


async def test_a_picture_of_the_chat_crosses(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        handle = bridge.a.store_file(b"png")
        media = {"handle": handle, "content_type": "image/png", "kind": "image"}
        bridge.a.does(CHAT, "ada", {"type": "avatar", "media": [media]})
        (there,) = await bridge.until_sent("b", 1)
        assert bridge.b.files[there["media"][0]["handle"]] == b"png"


def test_actions_without_files_want_none(tmp_path: Path) -> None:
    wanted = attachments.Attachments.wanted
    one = NativeMedia(handle="h", content_type="image/png")
    assert wanted(None, ChatAvatarChanged(media=one))  # type: ignore[arg-type]
    assert not wanted(None, ChatAvatarChanged(media=None))  # type: ignore[arg-type]
