"""The log of the server: whoever reads it can be slow without stopping it."""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from xinflight.cli import LogWriter, log_writer

LINE = "x" * 99 + "\n"
MANY = 3000
"""More lines than a pipe holds: 64 KiB on Linux."""


class Pipe:
    """A pipe and a writer to it."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        self.writer = LogWriter(self.write_end)

    def read_all(self) -> str:
        """Read until the last line has come: it says `end`."""
        read = b""
        while not read.endswith(b"end\n"):
            read += os.read(self.read_end, 2**16)
        return read.decode()

    def close(self) -> None:
        for descriptor in (self.read_end, self.write_end):
            os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.writer.finish()
    made.close()


def test_nobody_reads_for_a_while(pipe: Pipe) -> None:
    """Nothing blocks, and then everything comes, in order. Lines that fit need no thread."""
    pipe.writer.write("first\n")
    assert pipe.writer.waiting == 0
    for number in range(MANY):
        pipe.writer.write(f"{number} {LINE}")
    pipe.writer.write("end\n")
    assert pipe.writer.waiting > 0
    lines = pipe.read_all().splitlines()
    assert lines == ["first", *(f"{number} {LINE.rstrip()}" for number in range(MANY)), "end"]
    pipe.writer.finish()
    assert not pipe.writer.waiting


def test_a_line_longer_than_a_pipe_takes_at_once(pipe: Pipe) -> None:
    """A traceback, say: whether all of it would fit can't be asked."""
    pipe.writer.write(LINE * 200)
    pipe.writer.write("end\n")
    assert pipe.read_all() == LINE * 200 + "end\n"


def test_too_many_lines_are_counted(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits is bounded; the log says how many lines it lacks."""
    monkeypatch.setattr(log_writer, "WAITING_BYTES", 1000)
    others = set(threading.enumerate())
    for _ in range(MANY):
        pipe.writer.write(LINE)
    waiting = pipe.writer.waiting
    assert 0 < waiting <= 1000
    [writing] = [thread for thread in set(threading.enumerate()) - others if thread.name == "log writer"]
    read: list[str] = []
    reading = threading.Thread(target=lambda: read.extend(pipe.read_all().splitlines()))
    with caplog.at_level(logging.WARNING):
        reading.start()
        # It tells what was lost after its last line, and `finish` does not wait for it any more then.
        writing.join()
        pipe.writer.write("end\n")
        reading.join()
    said = [record.getMessage() for record in caplog.records]
    assert said
    assert all("log lines lost" in line for line in said)
    lost = sum(int(line.split()[0]) for line in said)
    assert lost > 0
    assert len(read) - 1 + lost == MANY


def test_nobody_will_ever_read(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the process is not held up for long, and a closed pipe is no error."""
    monkeypatch.setattr(log_writer, "LAST_SECONDS", 0.01)
    for _ in range(MANY):
        pipe.writer.write(LINE)
    pipe.writer.finish()
    assert pipe.writer.waiting
    reader, pipe.read_end = pipe.read_end, os.dup(pipe.write_end)
    os.close(reader)
    monkeypatch.undo()
    pipe.writer.finish()
    pipe.writer.write(LINE)


def test_a_file_takes_all(tmp_path: Path) -> None:
    """There is nobody to wait for, however long a text is."""
    with (tmp_path / "log").open("wb") as file:
        writer = LogWriter(file.fileno())
        writer.write(LINE * MANY)
        assert not writer.waiting
    assert (tmp_path / "log").read_text() == LINE * MANY
