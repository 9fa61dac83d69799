"""Write the specifications: `python -m xinflight.specs FOLDER`."""

import sys
from pathlib import Path

from xinflight.specs.documents import documents

__all__ = ["write"]


def write(folder: Path) -> None:
    """Write every specification into a folder, which is created if it doesn't exist."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in documents().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
