"""Plays the script and prints it."""

import asyncio
import time
from collections.abc import Sequence

from sabir.testing.demo import report, sights
from sabir.testing.demo.script import DIRECT, FEDERATED
from sabir.testing.demo.stage import Stage
from sabir.testing.demo.step import Played, play


async def hold(stage: Stage) -> bool:
    """Hold the conversation on a stage that is set; say whether all was right."""
    began_s = time.monotonic()
    names = await stage.alice.members(stage.matrix_room)
    events_before = len(stage.alice.events)
    messages_before = len(stage.xenia.messages)
    presences = sights.Presences(stage.xenia)
    async with asyncio.TaskGroup() as tasks:
        noting = tasks.create_task(presences.run())
        steps = await _play_all(stage)
        noting.cancel()
    on_matrix = sights.seen_on_matrix(
        stage.alice.events.since(events_before), stage.matrix_room, names
    )
    on_xmpp = sights.seen_on_xmpp(
        stage.xenia.messages.since(messages_before),
        presences.stamped,
        stage.xmpp_room,
    )
    log = await asyncio.to_thread(stage.lab.log_lines)
    for line in (
        *report.transcript("As Matrix saw it (Alice's client)", on_matrix, began_s),
        *report.transcript("As XMPP saw it (Xenia's client)", on_xmpp, began_s),
        *report.deliveries(steps, log),
        *report.summary(steps, log),
    ):
        print(line)
    return all(played.is_right for played in steps)


async def _play_all(stage: Stage) -> Sequence[Played]:
    script = FEDERATED if stage.has_third else DIRECT
    steps: list[Played] = []
    for number, step in enumerate(script, 1):
        steps.append(await play(stage, number, step))
        print(report.live(steps[-1]), flush=True)
    return steps
