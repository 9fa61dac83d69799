"""The contract of the picture stores, held against every implementation; then what is that of files and of memory."""

import asyncio
import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xinflight.drawing import draw
from xinflight.errors import UpstreamGarbage
from xinflight.images import OWN_ID, Images, draw_id, look, sniff
from xinflight.images_files import LOST_AGE, FileImages
from xinflight.images_memory import MemoryImages

JPEG = draw(prompt="a boat", negative_prompt="", width=64, height=48, steps=2, guidance=0.0, seed=1)
PNG = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452000000200000001008060000") + b"rest"
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(40)


@pytest.fixture(params=["memory", "files", "files synced"])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Images:
    if request.param == "memory":
        return MemoryImages(10**6)
    return FileImages(tmp_path / "pictures", full=request.param == "files synced")


async def loaded(images: Images, picture_id: str) -> tuple[str, bytes] | None:
    """Return media type and bytes as a handler would send them."""
    kept = await images.get(picture_id)
    if kept is None:
        return None
    data = kept.data if kept.path is None else await asyncio.to_thread(kept.path.read_bytes)
    assert data is not None
    return kept.media_type, data


async def test_what_was_put_is_got(images: Images) -> None:
    for picture_id, data, kind in (
        ("id-1", JPEG, "image/jpeg"),
        ("id_2", PNG, "image/png"),
        ("Id3x", WEBP, "image/webp"),
    ):
        await images.put(picture_id, data, kind)
        assert await loaded(images, picture_id) == (kind, data)
        assert await images.read(picture_id) == data


async def test_unknown_ids_are_none(images: Images) -> None:
    assert await images.get("nothing") is None
    assert await images.read("nothing") is None
    await images.delete("nothing")


async def test_put_again_replaces(images: Images) -> None:
    await images.put("same", JPEG, "image/jpeg")
    await images.put("same", PNG, "image/png")
    assert await loaded(images, "same") == ("image/png", PNG)


async def test_delete(images: Images) -> None:
    await images.put("abcd", JPEG, "image/jpeg")
    await images.put("abce", JPEG, "image/jpeg")
    await images.delete("abcd")
    assert await images.get("abcd") is None
    assert await images.read("abcd") is None
    assert await images.read("abce") == JPEG


async def test_sweep_forgets_what_is_unknown(images: Images) -> None:
    assert await images.sweep(set(), 1000.0) == 0
    ids = [draw_id() for _ in range(5)]
    for picture_id in ids:
        await images.put(picture_id, JPEG, "image/jpeg")
    known = {ids[1], ids[3], draw_id()}
    assert await images.sweep(known, 1000.0) == 3
    assert [number for number in range(5) if await images.read(ids[number])] == [1, 3]
    assert await images.sweep(known, 1000.0) == 0


async def test_many_at_once(images: Images) -> None:
    await asyncio.gather(
        *(images.put(f"{number:02}-id", JPEG + bytes([number]), "image/jpeg") for number in range(40))
    )
    assert [await images.read(f"{number:02}-id") for number in range(40)] == [JPEG + bytes([n]) for n in range(40)]


# What a picture is


def test_look_reads_type_and_size() -> None:
    assert look(JPEG) == ("image/jpeg", 64, 48)
    assert look(PNG) == ("image/png", 32, 16)


@given(st.sampled_from([JPEG, PNG, WEBP, b"", b"<html>", b"GIF89a"]), st.integers(0, 40), st.binary(max_size=60))
def test_whatever_stands_there_it_has_a_size_or_is_garbage(start: bytes, kept: int, rest: bytes) -> None:
    try:
        media_type, width, height = look(start[:kept] + rest)
    except UpstreamGarbage:
        return
    assert media_type in ("image/jpeg", "image/png", "image/webp")
    assert width > 0
    assert height > 0


@pytest.mark.parametrize("data", [b"", b"<html>", JPEG[:2], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a  "])
def test_a_start_alone_is_garbage(data: bytes) -> None:
    with pytest.raises(UpstreamGarbage):
        look(data)


def test_sniff_knows_three_kinds() -> None:
    assert [sniff(data[:16]) for data in (JPEG, PNG, WEBP, b"GIF89a", b"")] == [
        "image/jpeg",
        "image/png",
        "image/webp",
        None,
        None,
    ]


# Files


async def test_a_full_disk_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = FileImages(tmp_path, full=False)

    def replace(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="No space"):
            await images.put("picture", JPEG, "image/jpeg")
    assert os.listdir(tmp_path / "pi") == []
    assert await images.get("picture") is None
    await images.put("picture", JPEG, "image/jpeg")
    assert await images.read("picture") == JPEG


async def test_what_a_crash_left_is_no_picture_and_set_aside(tmp_path: Path) -> None:
    images = FileImages(tmp_path, full=False)
    kept, half, empty = "ab" + "K" * 22, "ab" + "H" * 22, "ab" + "E" * 22
    await images.put(kept, JPEG, "image/jpeg")
    (tmp_path / "ab" / f".{half}").write_bytes(JPEG[:100])
    (tmp_path / "ab" / empty).write_bytes(b"")
    assert await images.get(empty) is None
    assert await images.sweep({kept}, 1000.0) == 2
    assert await images.read(kept) == JPEG
    assert os.listdir(tmp_path / "ab") == [kept]
    assert sorted(os.listdir(tmp_path / "lost")) == sorted([f".{half}", empty])


async def test_what_was_set_aside_is_deleted_when_it_is_old(tmp_path: Path) -> None:
    images = FileImages(tmp_path, full=False)
    first, second = "ab" + "1" * 22, "cd" + "2" * 22
    await images.put(first, JPEG, "image/jpeg")
    assert await images.sweep(set(), 1000.0) == 1
    (tmp_path / "lost" / "note.txt").write_text("mine")
    os.utime(tmp_path / "lost" / "note.txt", (0, 0))
    await images.put(second, PNG, "image/png")
    assert await images.sweep(set(), 1000.0 + LOST_AGE) == 1
    assert (tmp_path / "lost" / first).read_bytes() == JPEG, "not a second too early"
    assert await images.sweep(set(), 1001.0 + LOST_AGE) == 0
    assert sorted(os.listdir(tmp_path / "lost")) == [second, "note.txt"]


async def test_files_of_other_people_stay_where_they_are(tmp_path: Path) -> None:
    images = FileImages(tmp_path, full=False)
    await images.put("ab" + "K" * 22, JPEG, "image/jpeg")
    mine = [
        *("2024/holiday.jpg", "ab/holiday.jpg", "ab/.DS_Store", "ab/" + "x" * 23, "ab/" + "x" * 25),
        # The right form in the wrong place.
        *("cd/ab" + "x" * 22, "2024/20" + "x" * 22, "ab/..ab" + "x" * 21, "ab" + "y" * 22),
        "ab/ab" + "d" * 22 + "/inside.jpg",
    ]
    for name in mine:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    link = tmp_path / "ab" / ("ab" + "L" * 22)
    link.symlink_to(tmp_path / "2024" / "holiday.jpg")
    assert await images.sweep(set(), 1000.0) == 1
    assert {name: (tmp_path / name).read_text() for name in mine} == {name: name for name in mine}
    assert link.is_symlink()


async def test_a_file_that_can_not_be_moved_is_no_reason_to_fail(tmp_path: Path) -> None:
    images = FileImages(tmp_path, full=False)
    await images.put("ab" + "K" * 22, JPEG, "image/jpeg")
    (tmp_path / "lost").write_text("somebody's file in place of the folder")
    assert await images.sweep(set(), 1000.0) == 0
    assert await images.read("ab" + "K" * 22) == JPEG


def test_drawn_ids_have_the_form_that_is_swept() -> None:
    ids = {draw_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(OWN_ID.fullmatch(picture_id) for picture_id in ids)


async def test_a_synced_one_is_safe_before_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, then its name in the folder (fsync(2))."""
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)))
    await FileImages(tmp_path / "a", full=False).put("picture", JPEG, "image/jpeg")
    assert synced == []
    await FileImages(tmp_path / "b", full=True).put("picture", JPEG, "image/jpeg")
    assert synced == [False, True]


# Memory


async def test_memory_forgets_the_oldest_above_its_bytes() -> None:
    images = MemoryImages(3 * len(JPEG))
    for number in range(5):
        await images.put(f"{number}", JPEG, "image/jpeg")
    assert [number for number in range(5) if await images.get(f"{number}")] == [2, 3, 4]
    await images.put("3", JPEG, "image/jpeg")
    assert [number for number in range(5) if await images.get(f"{number}")] == [2, 3, 4], (
        "the same again takes no more"
    )
    tiny = MemoryImages(1)
    await tiny.put("newest", JPEG, "image/jpeg")
    assert await tiny.read("newest") == JPEG
