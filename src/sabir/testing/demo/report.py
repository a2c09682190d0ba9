"""What is printed: each event as it happens, then transcripts, latencies, losses."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sabir.testing.demo.sights import Sight
from sabir.testing.demo.step import Played, Way

_NAME_WIDTH: Final = 24
_WHO_WIDTH: Final = 10
Log = Sequence[Mapping[str, Any]]
"""`sabir log --json`."""


def live(played: Played) -> str:
    """Return a step's line while the conversation runs."""
    step = played.step
    start = f"{played.number:3}  {step.way}  {step.name:{_NAME_WIDTH}}"
    if played.is_right:
        return f"{start} {played.latency_s * 1000:6.0f} ms  {step.natively}"
    complaint = played.complaint.replace("\n", "\n             ")
    return f"{start}  WRONG     expected: {step.natively}\n             {complaint}"


def transcript(title: str, sights: Sequence[Sight], began_s: float) -> list[str]:
    """Return one side's transcript; times are seconds since the beginning."""
    lines = ["", title]
    for sight in sights:
        since_s = sight.at_s - began_s
        lines.append(f"{since_s:8.3f}  {sight.who:{_WHO_WIDTH}}  {sight.what}")
    return lines


def events(steps: Sequence[Played]) -> list[Played]:
    """Return the steps that are events of the conversation, not checks over it."""
    return [played for played in steps if played.step.way is not Way.BOTH]


def deliveries(steps: Sequence[Played], log: Log) -> list[str]:
    """Return a table: each event's latency, Sabir's part in it, and what was lost."""
    lines = [
        "",
        "Latency: from the click, upload included, until the other side's app has it.",
        "In Sabir: from the inbox until the other network has accepted it.",
        "Lost: what `sabir log` says was not carried unchanged.",
        f"{'':3}  {'':3}  {'':{_NAME_WIDTH}}   latency  in Sabir  lost",
    ]
    ends = [played.began_ms for played in steps[1:]] + [2**63]
    for played, end_ms in zip(steps, ends, strict=True):
        if played.step.way is Way.BOTH:
            continue
        own = [one for one in log if played.began_ms <= one["received_at"] < end_ms]
        took = [one["ms"] for one in own if one["ms"] is not None]
        lost = "; ".join(phrase for one in own for phrase in one["loss"])
        lines.append(
            f"{played.number:3}  {played.step.way}  {played.step.name:{_NAME_WIDTH}}"
            f" {_latency(played)}  {_ms(max(took, default=None))}  {lost or '-'}"
        )
    return lines


def _latency(played: Played) -> str:
    return _ms(played.latency_s * 1000) if played.is_right else f"{'WRONG':>9}"


def _ms(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:6.0f} ms"


def summary(steps: Sequence[Played], log: Log) -> list[str]:
    """Return the last lines: counts, median and slowest, the verdict."""
    shown = events(steps)
    wrong = [played for played in steps if not played.is_right]
    lossy = sum(1 for one in log if one["loss"])
    lines = [""]
    for way in Way:
        these = [p for p in shown if p.step.way is way and p.is_right]
        ordered = sorted(played.latency_s * 1000 for played in these)
        if ordered:
            median, most = ordered[len(ordered) // 2], ordered[-1]
            lines.append(
                f"{way}: {len(these)} events right,"
                f" median {median:.0f} ms, slowest {most:.0f} ms"
            )
    lines.append(f"Deliveries in Sabir's log: {len(log)}, with a loss: {lossy}")
    lines += [f"WRONG: {p.number} {p.step.way} {p.step.name}" for p in wrong]
    right = sum(1 for played in shown if played.is_right)
    checks = len(steps) - len(shown)
    verdict = "all right" if not wrong else f"{len(wrong)} WRONG"
    lines.append(
        f"{right} of {len(shown)} events right, {checks} checks over all: {verdict}"
    )
    return lines
