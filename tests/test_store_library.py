"""What owners find, and the marks of outputs: the contract of the store, held against every implementation."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from factories import MANY, accept, append, cancelled, draw, end, finished, lease, make_task, save, seqs
from xinflight.model import Marks, Task, end_message, marked_message, output_message
from xinflight.protocol import Marked, OutputEvent, Preferences, Result, State
from xinflight.storage import Mark, MemoryStore, SqliteStore, Store, StoredPreferences, TaskQuery, library, phrases
from xinflight.storage import library_memory as memory
from xinflight.storage import library_sqlite as sqlite


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Give each implementation in turn, open, with POOL leased."""
    made: Store = MemoryStore(1000) if request.param == "memory" else SqliteStore(tmp_path / "data", full=False)
    await made.open()
    await lease(made)
    yield made
    await made.close()


async def found(store: Store, owner: str = "ann", search: str = "", **fields: Any) -> list[str]:
    query = TaskQuery(phrases=phrases(search), **fields)
    return [row.task.task_id for row in (await store.library.find(owner, query, before=None, limit=100)).tasks]


async def mark(store: Store, task: Task, *marks: Marks) -> object:
    message = marked_message(task, marks, 1.0)
    return (await store.commit([Mark(task=task, message=message, marks=list(marks))]))[0]


async def made(store: Store, task_id: str, prompt: str = "a boat", *, outputs: int = 1, **fields: Any) -> Task:
    """Store a task of some outputs, all of them made."""
    task = make_task(task_id, prompt=prompt, outputs=outputs, **fields)
    await store.commit([accept(task)])
    draw(task)
    end(task)
    made = [append(task, output_message(task, output, 1010.0)) for output in task.outputs]
    await store.commit([*made, append(task, end_message(task))])
    return task


# Words

TEXTS = {
    "en": "A red-haired sailor, 2 boats; masterpiece",
    "zh": "一只红色的小船，水彩画",
    "ja": "夕暮れのネコ",
    "ko": "빨간 배가 있는 바다",
    "accents": "Café Ångström ＷＩＤＥ",
    "th": "เรือสีแดง",
}


SEARCHES = [
    ("boats", ["en"]),
    ("boat", ["en"]),
    ("BOA", ["en"]),
    ("oats", []),
    ("2", ["en"]),
    ("r", []),
    ("red sailor", ["en"]),
    ("haired red", ["en"]),
    ("red airship", []),
    ("红色", ["zh"]),
    ("小船", ["zh"]),
    ("船", ["zh"]),
    ("色红", []),
    ("红 船", ["zh"]),
    ("ネコ", ["ja"]),
    ("夕暮", ["ja"]),
    ("바다", ["ko"]),
    ("배", ["ko"]),
    ("cafe angstrom", ["accents"]),
    ("wide", ["accents"]),
    ("สีแดง", ["th"]),
    ("masterpiece*", ["en"]),
    ('"red" OR ("boats" NEAR words:', []),
    ("sea", ["zh"]),
    ("painter", ["ja"]),
]


async def test_words_are_found_in_every_script(store: Store) -> None:
    """Those of prompt, tags and model; what has a meaning in a query of SQLite has none here."""
    tasks = {}
    for task_id, prompt in TEXTS.items():
        tasks[task_id] = make_task(task_id, prompt=prompt)
        tasks[task_id].params.model = "Painter-XL" if task_id == "ja" else None
        await store.commit([accept(tasks[task_id])])
    await mark(store, tasks["zh"], Marks(index=0, tags=["By the SEA"]))
    assert [(search, await found(store, search=search)) for search, _ in SEARCHES] == SEARCHES
    assert await found(store, "bob", search="boats") == []


async def test_words_of_others_are_not_found(store: Store) -> None:
    await store.commit([accept(make_task("a", "ann")), accept(make_task("b", "bob"))])
    assert (await found(store, "ann", "boat"), await found(store, "bob", "boat")) == (["a"], ["b"])


async def test_what_is_not_to_be_kept_is_not_found_by_its_words(store: Store) -> None:
    task = make_task("a")
    task.params.store = False
    await store.commit([accept(task)])
    assert await found(store, search="boat") == []
    assert await found(store, model=None, since=0.0) == ["a"]


async def test_a_deleted_task_is_not_found(store: Store) -> None:
    task = await made(store, "a")
    await mark(store, task, Marks(index=0, starred=True))
    assert await found(store, search="boat", starred=True) == ["a"]
    await store.delete(task.uid)
    assert (await found(store, search="boat"), await found(store, starred=True)) == ([], [])
    assert await store.library.marks(task.uid) == []


async def test_a_search_finds_what_came_a_moment_ago_and_the_rest_by_and_by(store: Store) -> None:
    await store.commit([accept(make_task(f"t{number}")) for number in range(120)])
    await found(store, search="boat")
    while await store.library.index():
        pass
    assert len(await found(store, search="boat")) == 100
    assert not await store.library.index()


# Filters


async def test_filters_and_all_of_them_together(store: Store) -> None:
    one = await made(store, "one", "a red boat", created=1000.0)
    two = make_task("two", prompt="a blue boat", created=2000.0)
    two.kind, two.params.model, two.params.group = "video", "wan", "g"
    await store.commit([accept(two)])
    end(two, State.CANCELLED)
    await store.commit([append(two, cancelled(two))])
    three = await made(store, "three", "a red boat", created=3000.0)
    await mark(store, one, Marks(index=0, starred=True, tags=["sea", "old"]))
    await mark(store, three, Marks(index=0, tags=["sea"]))
    assert await found(store, starred=True) == ["one"]
    assert await found(store, tag="sea") == ["three", "one"]
    assert await found(store, tag="Sea") == []
    assert await found(store, model="wan") == ["two"]
    assert await found(store, kind="text2image") == ["three", "one"]
    assert await found(store, since=2000.0) == ["three", "two"]
    assert await found(store, until=2000.0) == ["one"]
    assert await found(store, states=frozenset({State.CANCELLED}), kind="video", group="g") == ["two"]
    assert await found(store, search="red boat", tag="sea", until=2500.0) == ["one"]
    assert await found(store, starred=True, tag="old", search="red") == ["one"]
    assert await found(store, starred=True, since=2000.0) == []


async def test_a_task_is_unsuccessful_by_one_of_its_outputs_once_it_has_ended(store: Store) -> None:
    """Made and cancelled outputs beside it change nothing; nor does another write of the task."""
    await made(store, "made", outputs=2)
    for task_id, states in {
        "partly": (State.COMPLETED, State.FAILED),
        "stopped": (State.CANCELLED, State.EXPIRED),
        "late": (State.EXPIRED, State.EXPIRED),
        "gone": (State.CANCELLED, State.COMPLETED),
    }.items():
        task = make_task(task_id, prompt="a boat", outputs=2, created=2000.0)
        await store.commit([accept(task)])
        draw(task)
        for output, state in zip(task.outputs, states, strict=True):
            output.state = state
        await store.commit([save(task)])
        assert task_id not in await found(store, unsuccessful=True), "it has not ended"
        task.ended_at = 2010.0
        await store.commit([save(task)])
    assert await found(store, unsuccessful=True) == ["late", "stopped", "partly"]
    assert await found(store, unsuccessful=True, search="boat", since=1500.0) == ["late", "stopped", "partly"]
    assert await found(store, unsuccessful=True, states=frozenset({State.COMPLETED})) == ["partly"]
    assert await found(store, "bob", unsuccessful=True) == []


async def test_a_model_that_was_chosen_later_is_found(store: Store) -> None:
    task = make_task("a")
    await store.commit([accept(task)])
    assert await found(store, model="wan") == []
    task.params.model = "wan"
    await store.commit([save(task)])
    assert await found(store, model="wan") == ["a"]


@pytest.mark.parametrize(
    "query",
    [
        {"kind": "video"},
        {"search": "rare"},
        {"starred": True, "kind": "video"},
        {"unsuccessful": True, "kind": "video"},
    ],
)
async def test_a_read_looks_at_a_bounded_number_of_tasks(
    store: Store, query: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for what there is seldom is told to go on from there."""
    for module in (library, memory, sqlite):
        monkeypatch.setattr(module, "SCAN", 3)
    tasks = [make_task(f"t{number}", prompt="common rare" if number == 1 else "common") for number in range(10)]
    tasks[1].kind = "video"
    await store.commit([accept(task) for task in tasks])
    for task in tasks:
        end(task, State.FAILED)
        await store.commit([save(task)])
        await mark(store, task, Marks(index=0, starred=True))
    wanted = TaskQuery(**({"phrases": phrases(query["search"])} if "search" in query else query))
    before, read, ids = None, 0, []
    while True:
        page = await store.library.find("ann", wanted, before=before, limit=5)
        read += 1
        ids += [row.task.task_id for row in page.tasks]
        if page.before is None:
            break
        before = page.before
    assert ids == ["t1"]
    assert read <= 4
    assert wanted.phrases or read > 2


# Marks


async def test_marks_come_with_their_task_and_are_told_by_one_event(store: Store) -> None:
    task = await made(store, "a", outputs=3)
    await mark(store, task, Marks(index=1, starred=True))
    event = await mark(store, task, Marks(index=1, starred=True, tags=["b", "a"]), Marks(index=2, deleted=5.0))
    expected = [Marks(index=1, starred=True, tags=["b", "a"]), Marks(index=2, deleted=5.0)]
    assert await store.library.marks(task.uid) == expected
    page = await store.library.find("ann", TaskQuery(), before=None, limit=1)
    assert page.tasks[0].marks == expected
    events = await store.events_of_owner("ann", after=0, upto=MANY, limit=100)
    assert [each.message for each in events if isinstance(each.message, Marked)] == [event.message]  # type: ignore[attr-defined]
    assert await seqs(store) == [1, 2, 3, 4, 5, 7]
    assert await store.trimmed_to("ann") == 0, "no gap"
    await mark(store, task)
    assert (await store.library.marks(task.uid), await found(store, starred=True)) == ([], [])


async def test_tags_are_told_in_order_and_those_of_nobody_else(store: Store) -> None:
    one, two = await made(store, "one", outputs=2), await made(store, "two")
    await store.commit([accept(theirs := make_task("three", "bob"))])
    await mark(store, one, Marks(index=0, starred=True, tags=["sea", "ä b"]), Marks(index=1, tags=["Sea", "sea"]))
    await mark(store, two, Marks(index=0, tags=["seal", "gone"]))
    await mark(store, theirs, Marks(index=0, tags=["seat"]))

    async def tags(prefix: str = "", limit: int = 100) -> list[str]:
        return await store.library.tags("ann", prefix=prefix, limit=limit)

    assert await tags() == ["gone", "Sea", "sea", "seal", "ä b"]
    assert await tags(limit=2) == ["gone", "Sea"]
    assert await tags("sea") == await tags("SEA") == ["Sea", "sea", "seal"]
    assert (await tags("sea", 1), await tags("z"), await tags("Ä")) == (["Sea"], [], ["ä b"])
    await mark(store, two, Marks(index=0, tags=["seal"], deleted=5.0))
    assert await tags("s") == ["Sea", "sea"], "those of a deleted output are nowhere"


async def test_marks_of_a_task_that_is_gone_come_to_nothing(store: Store) -> None:
    task = await made(store, "a")
    await store.delete(task.uid)
    assert await mark(store, task, Marks(index=0, starred=True)) is None
    assert await seqs(store) == []


async def test_a_deleted_output_is_nobodys_and_no_star_of_it_counts(store: Store) -> None:
    task = await made(store, "a")
    output_id = task.outputs[0].output_id
    await mark(store, task, Marks(index=0, starred=True, tags=["sea"], deleted=5.0))
    assert await store.output_owner(output_id) is None
    assert (await found(store, starred=True), await found(store, tag="sea")) == ([], [])
    assert [(each.output_id, each.at, each.task_id) for each in await store.library.deleted()] == [
        (output_id, 5.0, "a")
    ]
    await mark(store, task, Marks(index=0, starred=True, tags=["sea"]))
    assert await store.output_owner(output_id) == "ann"
    assert await store.library.deleted() == []
    assert await found(store, starred=True) == ["a"]


async def test_of_a_purged_output_only_its_deletion_is_known(store: Store) -> None:
    task = await made(store, "a", outputs=2)
    await mark(store, task, Marks(index=0, deleted=5.0), Marks(index=1, starred=True))
    await store.library.purge(task.uid, 0)
    left = await store.task("ann", "a")
    assert left is not None
    assert ([output.deleted for output in left.outputs], [output.index for output in left.shown]) == (
        [True, False],
        [1],
    )
    assert await store.output_ids() == {task.outputs[1].output_id}
    assert await store.library.deleted() == []
    assert await store.library.marks(task.uid) == [Marks(index=1, starred=True)]
    messages = [each.message for each in await store.events_of_tasks([task.uid], after=0, upto=MANY, limit=100)]
    made_ = [message for message in messages if isinstance(message, OutputEvent)]
    assert [(message.index, message.deleted, bool(message.url)) for message in made_] == [
        (0, True, False),
        (1, False, True),
    ]
    (result,) = [message for message in messages if isinstance(message, Result)]
    assert [output.index for output in result.data.data] == [1]
    assert await seqs(store) == [1, 2, 3, 4, 5], "no gap"
    # Marks that come after it tell of it, still.
    told = await mark(store, left, Marks(index=1))
    assert [(each.index, each.deleted) for each in told.message.outputs] == [(0, True)]  # type: ignore[attr-defined]


async def test_a_purge_gives_back_the_room_of_the_file(store: Store) -> None:
    task = await finished(store, "a", size=50_000)
    other = await made(store, "b", outputs=2)
    await store.library.purge(task.uid, 0)
    gone = await store.prune(keep_bytes=20_000, keep_tasks=100, ended_before=0.0)
    assert gone == []
    await store.library.purge("unknown", 0)
    await store.library.purge(other.uid, 7)


# Preferences


async def test_preferences_are_an_owners_until_it_is_forgotten(store: Store) -> None:
    assert await store.library.preferences("ann") is None
    mine = StoredPreferences(version=2, preferences=Preferences(theme="dark", dock={"n": 4, "size": "1x1"}))
    await store.library.set_preferences("ann", StoredPreferences(version=1, preferences=Preferences()))
    await store.library.set_preferences("ann", mine)
    assert await store.library.preferences("ann") == mine
    assert await store.library.preferences("bob") is None
    await store.forget("ann", used_before="2000-01-01")
    assert await store.library.preferences("ann") is None
