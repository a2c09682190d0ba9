"""What our caller gave and cannot be: said as `MlsMisuse`, before anything changes."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from sabir.mls.env import Env
from sabir.mls.errors import MlsMisuse
from sabir.wire.errors import NotEncodable

P = ParamSpec("P")
T = TypeVar("T")

SECONDS_END: Final = 1 << 40
"""No time is so late, in seconds; one in milliseconds always is."""


def not_fitting(what: str, wrong: NotEncodable) -> MlsMisuse:
    """Say that a value does not fit its field."""
    return MlsMisuse(f"{what} with a value that fits no field: {wrong}")


def composes(write: Callable[P, T]) -> Callable[P, T]:
    """Let a function that writes its arguments say `MlsMisuse` where it cannot.

    Args:
        write: raises `NotEncodable`, as the codec does.
    """

    @wraps(write)
    def written(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return write(*args, **kwargs)
        except NotEncodable as wrong:
            raise not_fitting(f"{write.__name__}()", wrong) from None

    return written


def seconds(env: Env) -> int:
    """Return the time, in whole seconds since 1970.

    Raises:
        MlsMisuse: the clock gives something else.
    """
    now: object = env.now()
    if not isinstance(now, int):
        kind = type(now).__name__
        raise MlsMisuse(f"Env.now() gave a {kind}; return whole seconds, an int")
    if not 0 <= now < SECONDS_END:
        raise MlsMisuse(f"Env.now() gave {now}; return the seconds since 1970")
    return now


def check_span(name: str, span: object) -> None:
    """Refuse a span of time that is no whole seconds.

    Raises:
        MlsMisuse: it is none.
    """
    if not isinstance(span, int):
        kind = type(span).__name__
        raise MlsMisuse(f"{name} is a {kind}; give whole seconds, an int")
