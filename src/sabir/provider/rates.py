"""Token buckets: so many per peer, per user, per pair (3.0, rate limits)."""

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from sabir.mimi.problems import Problem, ProblemCode

BUCKETS_MAX: Final = 100_000
"""Buckets of one limit; beyond, the one used longest ago is forgotten (and full)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many in so many milliseconds; as many at once."""

    count: int
    per_ms: int


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_ms: float


class RateLimit:
    """One rate, for many subjects."""

    def __init__(self, rate: Rate, *, buckets_max: int = BUCKETS_MAX) -> None:
        self._rate = rate
        self._buckets_max = buckets_max
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def spend(self, subject: Hashable, *, now_ms: float) -> None:
        """Take one token of a subject.

        Args:
            subject: a domain, a user, a pair.
            now_ms: monotonic.

        Raises:
            Problem: RATE_LIMITED, with the seconds until there is a token.
        """
        rate = self._rate
        bucket = self._buckets.get(subject)
        if bucket is None:
            bucket = self._buckets[subject] = _Bucket(rate.count, now_ms)
            if len(self._buckets) > self._buckets_max:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(subject)
        grown = (now_ms - bucket.at_ms) * rate.count / rate.per_ms
        bucket.tokens = min(float(rate.count), bucket.tokens + grown)
        bucket.at_ms = now_ms
        if bucket.tokens < 1:
            missing_ms = (1 - bucket.tokens) * rate.per_ms / rate.count
            raise Problem(
                ProblemCode.RATE_LIMITED,
                f"more than {rate.count} in {rate.per_ms} ms",
                retry_after_s=max(1, math.ceil(missing_ms / 1000)),
            )
        bucket.tokens -= 1


class FederationRates:
    """The limits on what peers ask."""

    def __init__(self, per_peer: Rate) -> None:
        self.per_peer = RateLimit(per_peer)
        self.key_material_per_requester = RateLimit(Rate(count=60, per_ms=60_000))
        self.key_material_per_pair = RateLimit(Rate(count=6, per_ms=3_600_000))
        self.identifier_query = RateLimit(Rate(count=30, per_ms=1_000))
