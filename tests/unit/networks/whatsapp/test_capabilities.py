"""What a business number can say: the data file's values, for one speaker."""

from sabir.content.capabilities import Format, Support
from sabir.networks.whatsapp.capabilities import capabilities


def test_there_are_no_edits_and_no_deletions() -> None:
    known = capabilities(group=False)
    assert known.edit is Support.FALLBACK
    assert known.delete is Support.FALLBACK
    assert not known.ghosts


def test_texts_files_and_reactions_keep_the_limits() -> None:
    known = capabilities(group=False)
    assert known.network == "whatsapp"
    assert (known.text_max, known.formatted_text_max) == (4_096, 3_600)
    assert known.attachment is Support.FULL
    assert known.attachment_octets_max == 100 * 1024 * 1024
    assert known.caption is Support.FULL
    assert known.voice is Support.FULL
    assert known.reply is Support.FULL
    assert (known.reaction, known.reactions_per_person) == (Support.PARTIAL, 1)
    assert known.formatting[Format.BOLD] is Support.FULL
    assert known.formatting[Format.MENTION] is Support.DROPPED


def test_only_a_group_has_a_name() -> None:
    assert capabilities(group=True).room_name_max == 128
    assert capabilities(group=False).room_name_max is None
