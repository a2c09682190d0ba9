"""Mentions name the same person on both sides."""

from pathlib import Path

from hypothesis import given

from sabir.agent.mentions import mentions_of, renamed
from sabir.content.rich import (
    Heading,
    ListBlock,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Strong,
    Table,
    Text,
)
from tests.unit.agent.bridge import CHAT, bridged
from tests.unit.content.trees import riches


def _mentioning(uri: str) -> Rich:
    return Rich((Paragraph((Text("hey "), Mention("you", uri), Text("!"))),))


async def test_a_mention_reaches_the_ghost_and_the_person(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", "I am here")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        ghost = bridge.sent("b")[0]["sender"]["id"]
        bridge.b.says(CHAT, "xan", _mentioning(ghost))
        (there,) = await bridge.until_sent("a", 1)
        assert ["mention", "you", "ada"] in there["rich"][0][1]
        bridge.a.says(CHAT, "ada", _mentioning("bea"))
        bridge.a.says(CHAT, "ada", _mentioning("ghost:memory-b:xan"))
        _, stranger, back = await bridge.until_sent("b", 3)
        assert "@you" in str(stranger)
        assert ["mention", "you", "xan"] in back["rich"][0][1]


@given(text=riches)
def test_renaming_changes_mentions_and_nothing_else(text: Rich) -> None:
    uris = {each.uri: "new:" + each.uri for each in mentions_of(text)}
    changed = renamed(text, uris)
    assert [each.uri for each in mentions_of(changed)] == [
        "new:" + each.uri for each in mentions_of(text)
    ]
    back = {new: old for old, new in uris.items()}
    assert renamed(changed, back) == text


def test_mentions_are_found_everywhere() -> None:
    one = Mention("n", "u")
    cell = (one,)
    text = Rich(
        (
            Heading(1, (Strong(cell),)),
            Quote((Paragraph(cell),)),
            ListBlock(((Paragraph(cell),),)),
            Table((cell,), ((cell,),)),
        )
    )
    assert len(mentions_of(text)) == 5
