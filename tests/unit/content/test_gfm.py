"""GFM-MIMI: what is written is read back, and literal text stays literal."""

from hypothesis import example, given, settings

from sabir.content import gfm
from sabir.content.normal import normalise
from sabir.content.rich import (
    Inline,
    Link,
    Paragraph,
    Rich,
    Strong,
    Text,
)
from tests.unit.content.trees import riches


def paragraph(*children: Inline) -> Rich:
    return Rich((Paragraph(children),))


@settings(max_examples=600, deadline=None)
@given(riches)
@example(paragraph(Text("a"), Strong((Text("(b)"),)), Text("c")))
@example(paragraph(Text("!"), Link((Text("x"),), "https://x.example")))
def test_what_is_written_is_read_back(rich: Rich) -> None:
    written = gfm.write(rich)
    assert gfm.read(written) == normalise(rich), written
