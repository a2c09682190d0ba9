"""A homeserver's transactions out of its own order are noticed and put right."""

from sabir.networks.matrix.pushes import REFUSALS_MAX, VAIN_MAX, PushOrder


def take(order: PushOrder, *txns: int) -> list[int]:
    """Offer transactions; return which were taken."""
    taken = []
    for txn in txns:
        if order.admits(str(txn)):
            order.taken(str(txn))
            taken.append(txn)
    return taken


def started(last: int = 10) -> PushOrder:
    """Return the order of a run in which numbers have come one by one."""
    order = PushOrder(str(last - 1))
    assert take(order, last) == [last]
    return order


def test_one_after_another_is_taken() -> None:
    assert take(started(), 11, 12, 13) == [11, 12, 13]


def test_what_overtook_another_is_taken_after_it() -> None:
    order = started()
    assert take(order, 12, 13) == []
    assert order.is_waiting
    assert take(order, 11, 12, 13, 14) == [11, 12, 13, 14]
    assert not order.is_waiting


def test_a_number_left_out_for_good_costs_one_refusal() -> None:
    order = started()
    assert take(order, 13, 13, 14) == [13, 14]


def test_repeats_and_older_ones_are_taken() -> None:
    assert take(started(), 10, 3, 11) == [10, 3, 11]


def test_a_count_that_several_services_share_is_no_longer_looked_at() -> None:
    order, refused, last = started(), 0, 10
    for _ in range(3 * VAIN_MAX):
        last += 2
        if not take(order, last):
            refused += 1
            assert take(order, last) == [last]
    # The first may be a leftover of the run before, and does not count.
    assert refused == VAIN_MAX + 1


def test_gaps_that_hid_something_do_not_count_against_looking() -> None:
    order, last = started(), 10
    for _ in range(3 * VAIN_MAX):
        assert take(order, last + 2) == []
        assert take(order, last + 1, last + 2) == [last + 1, last + 2]
        last += 2


def test_a_server_that_never_repeats_is_not_refused_for_ever() -> None:
    order = started()
    offered = range(100, 100 + REFUSALS_MAX + 1)
    assert take(order, *offered) == [100 + REFUSALS_MAX]


def test_ids_that_are_no_numbers_tell_nothing() -> None:
    for txn in ("m1234", "", "٣", "1" * 40):
        assert PushOrder("10").admits(txn)
        PushOrder("10").taken(txn)
    assert PushOrder("m1234").admits("99")
    assert PushOrder(None).admits("99")
