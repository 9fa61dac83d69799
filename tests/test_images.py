"""The contract of the blob stores, held against every implementation; then what is that of files and of memory."""

import asyncio
import errno
import io
import os
import stat
import struct
from pathlib import Path

import imagesize
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xinflight.demo.drawing import draw
from xinflight.errors import UpstreamGarbage
from xinflight.model import HEADER_BYTES, MediaInfo, identify, media_type_of
from xinflight.storage import Blobs, FileBlobs, MemoryBlobs, RecentBlobs, draw_id
from xinflight.storage.blobs import OWN_ID
from xinflight.storage.blobs_files import LOST_AGE

JPEG = draw(prompt="a boat", negative_prompt="", width=64, height=48, steps=2, guidance=0.0, seed=1)
PNG = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452000000200000001008060000") + b"rest"
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00" + bytes(4) + b"\x1f\x00\x00\x0f\x00\x00" + bytes(8)


@pytest.fixture(params=["memory", "files", "files synced", "recent files"])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "memory":
        return MemoryBlobs(10**6)
    files = FileBlobs(tmp_path / "outputs", full=request.param == "files synced")
    return RecentBlobs(files) if request.param == "recent files" else files


async def loaded(images: Blobs, output_id: str) -> tuple[str, bytes] | None:
    """Return media type and bytes as a handler would send them."""
    kept = await images.get(output_id)
    if kept is None:
        return None
    data = kept.data if kept.path is None else await asyncio.to_thread(kept.path.read_bytes)
    assert data is not None
    return kept.media_type, data


async def test_what_was_put_is_got(images: Blobs) -> None:
    for output_id, data, kind in (
        ("id-1", JPEG, "image/jpeg"),
        ("id_2", PNG, "image/png"),
        ("Id3x", WEBP, "image/webp"),
    ):
        await images.put(output_id, data)
        assert await loaded(images, output_id) == (kind, data)
        assert await images.read(output_id) == data


async def test_unknown_ids_are_none(images: Blobs) -> None:
    assert await images.get("nothing") is None
    assert await images.read("nothing") is None
    await images.delete("nothing")


async def test_put_again_replaces(images: Blobs) -> None:
    await images.put("same", JPEG)
    await images.put("same", PNG)
    assert await loaded(images, "same") == ("image/png", PNG)


async def test_delete(images: Blobs) -> None:
    await images.put("abcd", JPEG)
    await images.put("abce", JPEG)
    await images.delete("abcd")
    assert await images.get("abcd") is None
    assert await images.read("abcd") is None
    assert await images.read("abce") == JPEG


async def test_sweep_forgets_what_is_unknown(images: Blobs) -> None:
    assert await images.sweep(set(), 1000.0) == 0
    ids = [draw_id() for _ in range(5)]
    for output_id in ids:
        await images.put(output_id, JPEG)
    known = {ids[1], ids[3], draw_id()}
    assert await images.sweep(known, 1000.0) == 3
    assert [number for number in range(5) if await images.read(ids[number])] == [1, 3]
    assert await images.sweep(known, 1000.0) == 0


async def test_many_at_once(images: Blobs) -> None:
    await asyncio.gather(*(images.put(f"{number:02}-id", JPEG + bytes([number])) for number in range(40)))
    assert [await images.read(f"{number:02}-id") for number in range(40)] == [JPEG + bytes([n]) for n in range(40)]


# What an image is


def test_identify_reads_type_and_size() -> None:
    assert identify(JPEG) == MediaInfo(media_type="image/jpeg", width=64, height=48, bytes=len(JPEG))
    assert identify(PNG) == MediaInfo(media_type="image/png", width=32, height=16, bytes=len(PNG))


@given(st.sampled_from([JPEG, PNG, WEBP, b"", b"<html>", b"GIF89a"]), st.integers(0, 40), st.binary(max_size=60))
def test_whatever_stands_there_it_has_a_size_or_is_garbage(start: bytes, kept: int, rest: bytes) -> None:
    try:
        info = identify(start[:kept] + rest)
    except UpstreamGarbage:
        return
    assert info.media_type in ("image/jpeg", "image/png", "image/webp")
    assert info.width > 0
    assert info.height > 0


@pytest.mark.parametrize("data", [b"", b"<html>", JPEG[:2], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a  "])
def test_a_start_alone_is_garbage(data: bytes) -> None:
    with pytest.raises(UpstreamGarbage):
        identify(data)


def test_sniff_knows_three_kinds() -> None:
    assert [media_type_of(data[:16]) for data in (JPEG, PNG, WEBP, b"GIF89a", b"")] == [
        "image/jpeg",
        "image/png",
        "image/webp",
        None,
        None,
    ]


class CountingReader(io.BytesIO):
    """Counts what a parser reads of it."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        type(self).reads += 1
        return super().read(size)


@pytest.mark.parametrize(
    "filling",
    [b"\x00", b"\xff\xe0\x00\x02", b"\xff\xc4\x00\x02\x01\x02\x03", b"\xff"],
    ids=["nothing", "empty segments", "gaps", "markers"],
)
def test_a_jpeg_without_a_size_is_given_up_soon(filling: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 MB in which the parser goes on byte by byte, or segment by segment."""
    monkeypatch.setattr(CountingReader, "reads", 0)
    monkeypatch.setattr(io, "BytesIO", CountingReader)
    hostile = b"\xff\xd8\xff\xe0\x00\x04\x00\x00" + filling * (20_000_000 // len(filling))
    with pytest.raises(UpstreamGarbage):
        identify(hostile)
    assert 0 < CountingReader.reads <= HEADER_BYTES + 16


def test_a_size_behind_long_headers_is_found() -> None:
    """As a camera writes them: a preview, then a colour profile of two segments."""
    headers = b"".join(b"\xff%c\xff\xff" % kind + bytes(65533) for kind in (0xE1, 0xE2, 0xE2))
    assert identify(JPEG[:2] + headers + JPEG[2:]).width == 64


@pytest.mark.parametrize("error", [ValueError("x"), struct.error("x"), IndexError(), RecursionError()])
def test_whatever_the_parser_raises_it_is_garbage(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """What imagesize before version 2 raises is what its reading happens to raise."""

    def get(file: object) -> tuple[int, int]:
        raise error

    monkeypatch.setattr(imagesize, "get", get)
    with pytest.raises(UpstreamGarbage):
        identify(JPEG)


async def test_put_tells_what_it_kept_and_keeps_nothing_else(images: Blobs) -> None:
    made = await images.put("id-1", PNG)
    assert made == await images.identify("id-1") == identify(PNG)
    with pytest.raises(UpstreamGarbage):
        await images.put("id-2", b"<html>")
    assert await images.get("id-2") is None
    assert await images.identify("id-2") is None


# Files


async def test_only_their_owner_may_read_them(tmp_path: Path) -> None:
    images = FileBlobs(tmp_path / "outputs", full=False)
    output_id = "ab" + "K" * 22
    await images.put(output_id, JPEG)
    await images.put(output_id, PNG)
    await images.put("cd" + "K" * 22, PNG)
    os.chmod(tmp_path / "outputs" / "cd", 0o755)
    assert mode(tmp_path / "outputs" / "ab" / output_id) == 0o600
    assert mode(tmp_path / "outputs" / "ab") == mode(tmp_path / "outputs") == 0o700
    assert await images.sweep({output_id}, 1000.0) == 1
    assert mode(tmp_path / "outputs" / "cd") == 0o700, "made by an earlier version"
    assert mode(tmp_path / "outputs" / "lost") == 0o700


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_full_disk_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = FileBlobs(tmp_path, full=False)

    def replace(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="No space"):
            await images.put("image", JPEG)
    assert os.listdir(tmp_path / "im") == []
    assert await images.get("image") is None
    await images.put("image", JPEG)
    assert await images.read("image") == JPEG


async def test_what_a_crash_left_is_no_image_and_set_aside(tmp_path: Path) -> None:
    images = FileBlobs(tmp_path, full=False)
    kept, half, empty = "ab" + "K" * 22, "ab" + "H" * 22, "ab" + "E" * 22
    await images.put(kept, JPEG)
    (tmp_path / "ab" / f".{half}").write_bytes(JPEG[:100])
    (tmp_path / "ab" / empty).write_bytes(b"")
    assert await images.get(empty) is None
    assert await images.sweep({kept}, 1000.0) == 2
    assert await images.read(kept) == JPEG
    assert os.listdir(tmp_path / "ab") == [kept]
    assert sorted(os.listdir(tmp_path / "lost")) == sorted([f".{half}", empty])


async def test_what_was_set_aside_is_deleted_when_it_is_old(tmp_path: Path) -> None:
    images = FileBlobs(tmp_path, full=False)
    first, second = "ab" + "1" * 22, "cd" + "2" * 22
    await images.put(first, JPEG)
    assert await images.sweep(set(), 1000.0) == 1
    (tmp_path / "lost" / "note.txt").write_text("mine")
    os.utime(tmp_path / "lost" / "note.txt", (0, 0))
    await images.put(second, PNG)
    assert await images.sweep(set(), 1000.0 + LOST_AGE) == 1
    assert (tmp_path / "lost" / first).read_bytes() == JPEG, "not a second too early"
    assert await images.sweep(set(), 1001.0 + LOST_AGE) == 0
    assert sorted(os.listdir(tmp_path / "lost")) == [second, "note.txt"]


async def test_files_of_other_people_stay_where_they_are(tmp_path: Path) -> None:
    images = FileBlobs(tmp_path, full=False)
    await images.put("ab" + "K" * 22, JPEG)
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
    images = FileBlobs(tmp_path, full=False)
    await images.put("ab" + "K" * 22, JPEG)
    (tmp_path / "lost").write_text("somebody's file in place of the folder")
    assert await images.sweep(set(), 1000.0) == 0
    assert await images.read("ab" + "K" * 22) == JPEG


def test_drawn_ids_have_the_form_that_is_swept() -> None:
    ids = {draw_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(OWN_ID.fullmatch(output_id) for output_id in ids)


async def test_a_synced_one_is_safe_before_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, then its name in the folder (fsync(2))."""
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)))
    await FileBlobs(tmp_path / "a", full=False).put("image", JPEG)
    assert synced == []
    await FileBlobs(tmp_path / "b", full=True).put("image", JPEG)
    assert synced == [False, True]


# Memory


async def test_memory_forgets_the_oldest_above_its_bytes() -> None:
    images = MemoryBlobs(3 * len(JPEG))
    for number in range(5):
        await images.put(f"{number}", JPEG)
    assert [number for number in range(5) if await images.get(f"{number}")] == [2, 3, 4]
    await images.put("3", JPEG)
    assert [number for number in range(5) if await images.get(f"{number}")] == [2, 3, 4], (
        "the same again takes no more"
    )
    tiny = MemoryBlobs(1)
    await tiny.put("newest", JPEG)
    assert await tiny.read("newest") == JPEG


# The folder of an earlier version


def put_earlier(folder: Path, *names: str) -> None:
    for name in names:
        (folder / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pictures" / name).write_bytes(JPEG + name.encode())


def all_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


ONE, OTHER, SET_ASIDE = "ab" + "1" * 22, "cd" + "2" * 22, "ef" + "3" * 22


@pytest.mark.parametrize("full", [False, True])
async def test_the_folder_of_an_earlier_version_is_renamed_as_a_whole(tmp_path: Path, full: bool) -> None:
    put_earlier(tmp_path, f"ab/{ONE}", f"lost/{SET_ASIDE}", "ab/note.txt")
    folder = (tmp_path / "pictures").stat().st_ino
    outputs = FileBlobs(tmp_path / "outputs", full=full)
    for _ in range(2):
        await outputs.open()
        assert os.listdir(tmp_path) == ["outputs"]
        assert (tmp_path / "outputs").stat().st_ino == folder, "one step, which a crash can't halve"
        assert all_files(tmp_path / "outputs") == {f"ab/{ONE}", f"lost/{SET_ASIDE}", "ab/note.txt"}
    assert await outputs.read(ONE) == JPEG + f"ab/{ONE}".encode()
    assert await outputs.sweep({ONE}, 1000.0) == 0


async def test_files_of_both_folders_come_together(tmp_path: Path) -> None:
    """Whoever went back to an earlier version has both."""
    outputs = FileBlobs(tmp_path / "outputs", full=False)
    await outputs.put(OTHER, PNG)
    put_earlier(tmp_path, f"ab/{ONE}", f"lost/{SET_ASIDE}", "ab/note.txt")
    await outputs.open()
    assert all_files(tmp_path) == {
        *(f"outputs/ab/{ONE}", f"outputs/cd/{OTHER}", f"outputs/lost/{SET_ASIDE}"),
        "pictures/ab/note.txt",
    }
    assert await outputs.sweep({ONE, OTHER}, 1000.0) == 0
    assert await outputs.read(OTHER) == PNG


async def test_a_folder_of_somebody_else_is_not_renamed(tmp_path: Path) -> None:
    """A data folder may be a home, and `pictures` in it the holidays."""
    put_earlier(tmp_path, "2024/holiday.jpg", f"2024/{ONE}", ONE)
    before = all_files(tmp_path)
    await FileBlobs(tmp_path / "outputs", full=False).open()
    assert all_files(tmp_path) == before


async def test_a_folder_that_can_not_be_renamed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_earlier(tmp_path, f"ab/{ONE}")

    def busy(self: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(self), None, str(target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", busy)
        with pytest.raises(OSError, match=r"busy: .*pictures.* -> .*outputs"):
            await FileBlobs(tmp_path / "outputs", full=False).open()
    assert all_files(tmp_path) == {f"pictures/ab/{ONE}"}
