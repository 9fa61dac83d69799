"""Uploads in the store, and the tasks that hold them: the contract, held against every implementation."""

from math import inf
from pathlib import Path

from msgspec.structs import replace

from factories import FENCE, accept, accepted, append, end, lease, make_task, result, save
from xinflight.model import UPLOAD_SECONDS, Task, TaskInput, Upload
from xinflight.storage import Accept, SqliteStore, Store

NOW = 1000.0
"""When the tasks of the factories are accepted."""


def make_upload(upload_id: str = "u1", owner: str = "ann", *, created: float = NOW - 10, size: int = 100) -> Upload:
    return Upload(
        owner=owner,
        upload_id=upload_id,
        blob_id=f"{owner}-{upload_id}-{created:g}",
        media_type="image/png",
        width=64,
        height=48,
        bytes=size,
        created=created,
        expires=created + 100.0,
    )


async def add(store: Store, upload: Upload, *, most: int = 9, most_bytes: int = 10**9) -> Upload | None:
    return await store.uploads.add(upload, most=most, most_bytes=most_bytes)


async def ids(store: Store, owner: str = "ann", *, now: float = NOW, before: int | None = None) -> list[str]:
    rows = await store.uploads.of_owner(owner, before=before, limit=2, now=now)
    return [row.upload.upload_id for row in rows]


def with_inputs(*upload_ids: str, task_id: str = "a", owner: str = "ann") -> Task:
    task = make_task(task_id, owner)
    task.inputs = [TaskInput(role="image", upload_id=upload_id) for upload_id in upload_ids]
    return task


async def end_it(store: Store, task: Task) -> None:
    end(task)
    await store.commit([append(task, result(task))])


async def unused(store: Store, now: float = NOW) -> list[str]:
    return [upload.upload_id for upload in await store.uploads.unused(now=now, limit=10)]


async def test_an_upload_is_found_by_its_owner_until_it_expires(store: Store) -> None:
    upload = make_upload()
    assert await add(store, upload) == upload
    assert await store.uploads.find("ann", "u1", now=upload.expires - 1) == upload
    assert await store.uploads.find("ann", "u1", now=upload.expires) is None
    assert await store.uploads.find("bob", "u1", now=NOW) is None
    assert await store.uploads.find("ann", "u2", now=NOW) is None
    assert await store.uploads.blob_ids() == {upload.blob_id}


async def test_a_known_one_is_renewed_and_keeps_its_file(store: Store) -> None:
    first, again, earlier = make_upload(), make_upload(created=NOW + 50), make_upload(created=NOW - 50)
    await add(store, first)
    assert await add(store, again) == replace(first, expires=again.expires)
    assert await add(store, earlier) == replace(first, expires=again.expires)
    assert await ids(store) == ["u1"]


async def test_uploads_are_bounded_by_number_and_bytes(store: Store) -> None:
    await add(store, make_upload("u1"))
    assert await add(store, make_upload("u2"), most=1) is None
    assert await add(store, make_upload("u2"), most_bytes=199) is None
    assert await add(store, make_upload("u1"), most=1, most_bytes=1) is not None
    assert await add(store, make_upload("u2", "bob"), most=1) is not None
    assert await add(store, make_upload("u2"), most=2, most_bytes=200) is not None


async def test_pages_are_the_newest_first(store: Store) -> None:
    for upload_id in ("u1", "u2", "u3"):
        await add(store, make_upload(upload_id))
    await add(store, make_upload("u4", "bob"))
    assert await ids(store) == ["u3", "u2"]
    rows = await store.uploads.of_owner("ann", before=None, limit=2, now=NOW)
    assert await ids(store, before=rows[-1].number) == ["u1"]
    assert await ids(store, now=NOW + 1000) == []


async def test_a_task_holds_its_uploads_until_it_ends(store: Store) -> None:
    for upload_id in ("u1", "u2", "u3"):
        await add(store, make_upload(upload_id))
    task = with_inputs("u1", "u2", "u1")
    await store.commit([accept(task)])
    for upload_id in ("u1", "u2", "u3"):
        assert await store.uploads.expire("ann", upload_id, now=NOW, latest=inf)
    assert await unused(store) == ["u3"]
    held = await store.uploads.held("ann", "u1")
    assert held is not None
    assert not await store.uploads.remove(held, now=NOW)
    assert await store.uploads.find("ann", "u1", now=NOW) is None
    await store.commit([save(task)])
    assert await unused(store) == ["u3"]
    await end_it(store, task)
    assert sorted(await unused(store)) == ["u1", "u2", "u3"]
    assert await store.uploads.remove(held, now=NOW)
    assert await store.uploads.held("ann", "u1") is None


async def test_the_last_of_several_tasks_lets_go(store: Store) -> None:
    await add(store, make_upload())
    tasks = [with_inputs("u1", task_id=task_id) for task_id in "ab"]
    await store.commit([accept(task) for task in tasks])
    await store.uploads.expire("ann", "u1", now=NOW, latest=inf)
    await end_it(store, tasks[0])
    assert await unused(store) == []
    await end_it(store, tasks[1])
    assert await unused(store) == ["u1"]


async def test_an_accepted_task_renews_its_uploads(store: Store) -> None:
    await add(store, make_upload())
    await store.commit([accept(with_inputs("u1"))])
    found = await store.uploads.find("ann", "u1", now=NOW)
    assert found is not None
    assert found.expires == NOW + UPLOAD_SECONDS


async def test_a_task_whose_upload_is_gone_is_not_accepted(store: Store) -> None:
    """It was resolved a moment before, and deleted or expired since."""
    await add(store, make_upload("u1"))
    await add(store, make_upload("u2", created=NOW - 100))
    await add(store, make_upload("u4", "bob"))
    other = with_inputs("u1", task_id="other")
    for missing in ("u2", "u3", "u4"):
        task = with_inputs("u1", missing)
        (outcome, beside) = await store.commit([accept(task), accept(other)])
        assert outcome is None
        assert beside is not None
        assert await store.task("ann", "a") is None
        assert await store.output_owner(task.outputs[0].output_id) is None
    assert await store.last_seq("ann") == 1
    await end_it(store, other)
    await store.uploads.expire("ann", "u1", now=NOW, latest=inf)
    assert "u1" in await unused(store), "nothing of what was refused holds it"


async def test_a_task_that_is_known_is_found_although_its_upload_is_gone(store: Store) -> None:
    await add(store, make_upload())
    task = with_inputs("u1")
    await store.commit([accept(task)])
    await store.uploads.expire("ann", "u1", now=NOW, latest=inf)
    (outcome,) = await store.commit([accept(with_inputs("u1"))])
    assert isinstance(outcome, Task)
    assert (outcome.uid, outcome.inputs) == (task.uid, task.inputs)


async def test_what_was_used_since_does_not_expire(store: Store) -> None:
    upload = make_upload()
    await add(store, upload)
    assert not await store.uploads.expire("ann", "u1", now=NOW, latest=upload.expires - 1)
    assert await store.uploads.expire("ann", "u1", now=NOW, latest=upload.expires)
    assert not await store.uploads.expire("ann", "u1", now=NOW, latest=inf), "once"
    assert not await store.uploads.expire("bob", "u1", now=NOW, latest=inf)


async def test_an_upload_that_comes_again_is_there_again(store: Store) -> None:
    first = make_upload()
    await add(store, first)
    await store.commit([accept(with_inputs("u1"))])
    await store.uploads.expire("ann", "u1", now=NOW, latest=inf)
    again = await add(store, make_upload(created=NOW))
    assert again is not None
    assert again.blob_id == first.blob_id
    assert not await store.uploads.remove(first, now=NOW)
    assert await ids(store) == ["u1"]


async def test_only_the_file_that_was_meant_is_removed(store: Store) -> None:
    """Between looking and removing it may have been removed by another call, and uploaded anew."""
    old = make_upload(created=NOW - 200)
    await add(store, old)
    assert await store.uploads.remove(old, now=NOW)
    await add(store, make_upload(created=NOW - 150))
    assert not await store.uploads.remove(old, now=NOW)


async def test_an_erasure_lets_all_of_an_owner_expire(store: Store) -> None:
    for upload in (make_upload("u1"), make_upload("u2"), make_upload("u1", "bob")):
        await add(store, upload)
    assert await store.uploads.erase("ann") == 2
    assert (await ids(store), await ids(store, "bob")) == ([], ["u1"])
    assert sorted(await unused(store)) == ["u1", "u2"]


async def test_a_deleted_task_holds_nothing(store: Store) -> None:
    await add(store, make_upload())
    task = with_inputs("u1")
    await store.commit([accept(task)])
    await end_it(store, task)
    await store.delete(task.uid)
    await store.uploads.expire("ann", "u1", now=NOW, latest=inf)
    assert await unused(store) == ["u1"]


async def test_what_tasks_hold_survives_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    await lease(store)
    upload = make_upload()
    await add(store, upload)
    task = with_inputs("u1")
    await store.commit([Accept(task=task, message=accepted(task))])
    await store.uploads.expire("ann", "u1", now=NOW, latest=inf)
    await store.close()
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    try:
        assert await unused(store) == []
        (found,) = await store.unfinished(task.pool)
        assert found.inputs == task.inputs
        assert await store.lease(task.pool) == FENCE + 1
        end(found)
        await store.commit([append(found, result(found), FENCE + 1)])
        assert await unused(store) == ["u1"]
    finally:
        await store.close()
