"""What Xinference is asked about the progress of tasks: what runs, within the budget, unless it has to be known."""

from itertools import pairwise

from scripted_gateway import Post, ScriptedGateway, turns
from xinflight.protocol import Progress, Result
from xinflight.upstream import TEXT2IMAGE

SILENCE = TEXT2IMAGE.timeouts.silence


def polls_of(gateway: ScriptedGateway, post: Post) -> list[float]:
    return [when for when, request_id in gateway.upstream.progress_asked if request_id == post.request_id]


async def begun(gateway: ScriptedGateway, *, model: str = "m", tasks: int = 1) -> list[Post]:
    """Submit tasks of an owner; return the requests that run."""
    for number in range(tasks):
        await gateway.submit(task_id=f"t{number}", model=model)
    await turns()
    return list(gateway.upstream.posts)


async def test_what_waits_is_not_asked_for() -> None:
    async with ScriptedGateway.begin() as gateway:
        await gateway.join("ann")
        [post] = await begun(gateway, tasks=5)
        await gateway.clock.advance(20.0)
        assert len(gateway.upstream.progress_asked) > 5
        assert len(polls_of(gateway, post)) == len(gateway.upstream.progress_asked)


async def test_what_has_done_its_last_step_is_not_asked_for_any_more() -> None:
    """Its answer tells the rest, however long it takes to come."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.join("ann")
        [post] = await begun(gateway)
        gateway.upstream.advance(post, 1.0)
        await gateway.clock.advance(5.0)
        known = len(gateway.upstream.progress_asked)
        await gateway.clock.advance(120.0)
        assert len(gateway.upstream.progress_asked) == known
        post.end("image")
        await turns()
        await gateway.drain()
        [end] = gateway.ends("ann", "t0")
        assert isinstance(end.message, Result)
        await gateway.clock.advance(10.0)
        assert len(gateway.upstream.progress_asked) == known


async def test_an_image_is_asked_for_no_more_often_than_a_person_needs() -> None:
    """Less than every half second on average, and never twice within 0.3 s, with room in the budget or without."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.join("ann")
        [post] = await begun(gateway)
        for done in range(1, 10):
            await gateway.clock.advance(0.5)
            gateway.upstream.advance(post, done / 10)
        times = polls_of(gateway, post)
        assert 5 <= len(times) <= 10
        assert min(late - early for early, late in pairwise(times)) > 0.299


async def test_an_image_that_stands_still_is_told_to_come_later() -> None:
    """Clients estimate on between two values: they would soon show 99 % of one that has done half of its steps."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.join("ann")
        [post] = await begun(gateway)
        for done in range(1, 6):
            await gateway.clock.advance(1.0)
            gateway.upstream.advance(post, done / 10)
        await gateway.clock.advance(1.0)
        await gateway.drain()
        known = len(gateway.sent["ann"])
        for _ in range(40):
            await gateway.clock.advance(0.25)
            await gateway.drain()
        told = [event.message for event in gateway.sent["ann"][known:] if isinstance(event.message, Progress)]
        assert {message.progress for message in told} == {50}
        ends = [message.timestamp + (message.estimated_time or 0.0) for message in told]
        assert len(ends) > 3
        assert ends == sorted(ends)
        # The latest one was not over yet when the next one said so.
        assert all(nxt.timestamp <= end for nxt, end in zip(told[1:], ends, strict=False))


async def test_all_together_stay_within_the_budget() -> None:
    async with ScriptedGateway.begin(polls_per_second=0.5) as gateway:
        await gateway.join("ann")
        await begun(gateway, model="two", tasks=2)
        await gateway.clock.advance(100.0)
        assert 30 <= len(gateway.upstream.progress_asked) <= 52


async def test_what_nobody_watches_is_hardly_asked_for_until_somebody_comes() -> None:
    async with ScriptedGateway.begin() as gateway:
        [post] = await begun(gateway)
        await gateway.clock.advance(60.0)
        assert 8 <= len(gateway.upstream.progress_asked) <= 12
        gateway.upstream.advance(post, 0.5)
        await gateway.join("ann")
        await gateway.clock.advance(10.0)
        latest = gateway.journal.latest("ann", next(iter(gateway.journal.running("ann"))))[0].message
        assert isinstance(latest, Progress)
        assert latest.progress == 50
        gateway.leave("ann")


async def test_without_a_poll_the_image_is_as_good() -> None:
    """It begins and ends as any other, and its progress is that of the result."""
    async with ScriptedGateway.begin(polls_per_second=1e-6) as gateway:
        await gateway.join("ann")
        [post] = await begun(gateway)
        await gateway.clock.advance(30.0)
        post.end("image")
        await turns()
        await gateway.drain()
        assert gateway.upstream.progress_asked == []
        # Nothing is shown that nobody knows.
        shown = [event.message for event in gateway.sent["ann"] if isinstance(event.message, Progress)]
        assert (shown[-1].state, shown[-1].progress) == ("starting", 0)
        assert isinstance(gateway.ends("ann", "t0")[0].message, Result)


async def test_whether_a_cancelled_image_still_moves_is_seen_without_a_budget() -> None:
    """Its slot is free when it stands still for ten minutes, not when nobody may ask."""
    async with ScriptedGateway.begin(polls_per_second=1e-6) as gateway:
        await gateway.join("ann")
        [post, *_] = await begun(gateway, tasks=2)
        await gateway.front.cancel("ann", "t0")
        for done in range(1, 10):
            await gateway.clock.advance(SILENCE / 2)
            gateway.upstream.advance(post, done / 10)
        assert gateway.upstream.posts == [post]
        await gateway.clock.advance(SILENCE + 20.0)
        assert len(gateway.upstream.posts) == 2
        post.running = False


async def test_the_end_of_a_lost_line_is_seen_without_a_budget() -> None:
    """It is asked for every few seconds, as nothing else tells whether the model is free."""
    async with ScriptedGateway.begin(polls_per_second=1e-6) as gateway:
        await gateway.join("ann")
        # A model whose images can't be stopped.
        [post, *_] = await begun(gateway, model="old", tasks=2)
        post.end("lost")
        await gateway.clock.advance(20.0)
        assert gateway.upstream.posts == [post]
        assert len(gateway.upstream.progress_asked) >= 4
        post.running, post.progress = False, 1.0
        await gateway.clock.advance(20.0)
        assert len(gateway.upstream.posts) == 2
