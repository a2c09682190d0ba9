"""The exception of D-37: who adds a user of a new provider adds its asset hosts."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from sabir.mimi.components.asset_policy import AssetPolicy


def is_new_providers_entry(
    old: AssetPolicy | None,
    new: AssetPolicy | None,
    entering: Collection[str],
    known: Mapping[str, tuple[str, ...]] | None,
) -> bool:
    """Whether a new policy only appends the entries of providers that come in.

    Args:
        old: the effective policy.
        new: the policy after the batch.
        entering: domains of users whom the same actor adds in this batch.
        known: asset hosts by provider, as their directories say; None believes any.
    """
    if old is None or new is None:
        return False
    size = len(old.upload_domains)
    if replace(new, upload_domains=new.upload_domains[:size]) != old:
        return False
    appended = new.upload_domains[size:]
    return bool(appended) and all(
        entry.provider in entering
        and (known is None or known.get(entry.provider) == entry.destinations)
        for entry in appended
    )
