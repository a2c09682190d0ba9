"""Limits are those of the manual, and each can be set."""

from dataclasses import fields

from sabir.mls.limits import DEFAULT_LIMITS, Limits


def test_each_limit_is_a_positive_number_that_names_its_unit_or_counts() -> None:
    for field in fields(Limits):
        value = getattr(DEFAULT_LIMITS, field.name)
        assert value > 0
        assert getattr(Limits(**{field.name: value + 1}), field.name) == value + 1


def test_a_padded_message_fits_and_a_window_fits_a_jump() -> None:
    assert DEFAULT_LIMITS.message_octets_max <= DEFAULT_LIMITS.tree_octets_max
    assert DEFAULT_LIMITS.padding_block_octets < DEFAULT_LIMITS.message_octets_max
    assert (
        DEFAULT_LIMITS.skipped_keys_per_sender_max
        <= DEFAULT_LIMITS.skipped_keys_per_group_max
    )
