"""Names of chats and persons."""

from sabir.networks.xmpp.ids import Direct, direct, occupant


def test_a_direct_chat_id_is_read_back() -> None:
    chat = Direct("ada@example.org", "matrix\\3abob").chat()
    assert chat == "direct:ada@example.org|matrix\\3abob"
    assert direct(chat) == Direct("ada@example.org", "matrix\\3abob")


def test_anything_else_is_no_direct_chat() -> None:
    for chat in (
        "room@muc.example.org",
        "direct:",
        "direct:a@b",
        "direct:|x",
        "direct:a|",
    ):
        assert direct(chat) is None


def test_an_occupant_id_outlives_a_nick() -> None:
    assert occupant("r@m", "Ada") == "r@m/Ada"
    assert occupant("r@m", "Ada", "o1") == occupant("r@m", "Ada L.", "o1") == "r@m#o1"
