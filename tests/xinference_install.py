"""Install Xinference 4.1.0 for CPU, and tiny random models of every kind, into the user's cache folder.

`python tests/xinference_install.py` does everything from nothing (about 2 GB and two minutes on a fast line)
and does nothing when it is all there. `XINFLIGHT_CACHE` names another folder than the user's cache folder.
`XINFLIGHT_TORCH_INDEX` is given to pip as `--index-url` for torch alone: on Linux
`https://download.pytorch.org/whl/cpu` saves several GB of CUDA libraries.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

TORCH = "torch==2.13.0"
XINFERENCE = "xinference==4.1.0"
# What Xinference 4.1.0 needs for image models, without timm: that pulls in torchvision, which must match
# torch's build (CPU or CUDA) and which no text-to-image model uses.
PACKAGES = """
    xoscar psutil pillow click<8.2.0 tqdm tabulate requests aiohttp pydantic anyio fastapi>=0.110.3,<0.137
    python-multipart>=0.0.18 orjson uvicorn PyYAML huggingface-hub filelock>=3.30.0 typing_extensions
    modelscope>=1.21.0 sse_starlette>=1.6.5 openai>=1.40.0 anthropic>=0.25.0 python-jose[cryptography]
    bcrypt>=4.0.0 aioprometheus[starlette]>=23.12.0 httpx nvidia-ml-py async-timeout peft>=0.18.0 setproctitle
    uv diffusers>=0.36 transformers>=4.53.3 accelerate>=0.28.0 sentencepiece protobuf
""".split()
# The versions that the recorded facts were seen with; the rest may move.
CONSTRAINTS = """
    xoscar==0.12.2 diffusers==0.39.0 transformers==5.17.0 accelerate==1.15.0 peft==0.21.2 fastapi==0.136.3
    starlette==1.10.0 uvicorn==0.54.0 sse-starlette==3.7.0 numpy==2.4.6 pillow==13.0.0 huggingface-hub==1.16.1
    click==8.1.8 pydantic==2.14.3
""".split()
# What Xinference writes videos with. In a folder of its own, so that the environment needn't be made anew.
VIDEO_PACKAGES = ["imageio==2.38.1", "imageio-ffmpeg==0.8.1"]
MODEL_SCRIPT = Path(__file__).with_name("tiny_model.py")
KINDS_SCRIPT = Path(__file__).with_name("tiny_models.py")
EDIT_SCRIPT = Path(__file__).with_name("tiny_edit_model.py")


def home() -> Path:
    """Return the folder that holds the environment and the model; it need not exist yet."""
    cache = os.environ.get("XINFLIGHT_CACHE") or platformdirs.user_cache_dir("xinflight")
    return Path(cache).expanduser().resolve() / "xinference-4.1.0"


def venv_bin(name: str) -> Path:
    """Return the path of the program `name` inside the environment."""
    return home() / "venv" / "bin" / name


def model_path() -> Path:
    """Return the folder of the tiny Z-Image pipeline."""
    return home() / "tiny-z-image"


def kinds_path() -> Path:
    """Return the folder of what other kinds need: `packages`, `video` and `chat`."""
    return home() / "kinds"


def edit_path() -> Path:
    """Return the folder of the tiny Kontext pipeline."""
    return home() / "tiny-kontext"


def _venv_recipe() -> str:
    return "\n".join([TORCH, XINFERENCE, *PACKAGES, *CONSTRAINTS])


def _model_recipe() -> str:
    return _venv_recipe() + MODEL_SCRIPT.read_text(encoding="utf-8")


def _kinds_recipe() -> str:
    return "\n".join([_model_recipe(), *VIDEO_PACKAGES, KINDS_SCRIPT.read_text(encoding="utf-8")])


def _edit_recipe() -> str:
    return _model_recipe() + EDIT_SCRIPT.read_text(encoding="utf-8")


def _stamp(recipe: str) -> str:
    return hashlib.sha256(recipe.encode()).hexdigest()


def _made(folder: Path, recipe: str) -> bool:
    stamp = folder / ".recipe"
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _stamp(recipe)


def missing() -> str | None:
    """Say what is missing and how to get it, or return None when the real server can be started."""
    whole = (
        _made(home() / "venv", _venv_recipe())
        and _made(model_path(), _model_recipe())
        and venv_bin("python").exists()  # follows the link: the interpreter may have been removed since
    )
    return None if whole else f"no Xinference 4.1.0 in {home()}: run `python tests/xinference_install.py`"


def missing_kinds() -> str | None:
    """Say what is missing for videos and chats and how to get it, or return None."""
    if _made(kinds_path(), _kinds_recipe()):
        return missing()
    return f"no models for videos and chats in {kinds_path()}: run `python tests/xinference_install.py`"


def missing_edit() -> str | None:
    """Say what is missing for edits and how to get it, or return None."""
    if _made(edit_path(), _edit_recipe()):
        return missing()
    return f"no model for edits in {edit_path()}: run `python tests/xinference_install.py`"


def _make(folder: Path, recipe: str, build: Callable[[Path], None]) -> None:
    """Build `folder` from nothing unless it is whole: the stamp comes last, so a torn build starts anew."""
    if _made(folder, recipe):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    build(folder)
    (folder / ".recipe").write_text(_stamp(recipe), encoding="utf-8")


def _run(what: str, *command: str | Path) -> None:
    """Run one step: its lines go to install.log, pip's larger downloads (with sizes) to the terminal too.

    Raises:
        RuntimeError: it failed; the text ends with the last lines of its output.
    """
    print(f"{what} ...", flush=True)
    began, tail = time.monotonic(), [""]
    with (
        (home() / "install.log").open("a", encoding="utf-8") as log,
        # The step inherits the lock: if this process is killed, no other starts before the step has ended.
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, close_fds=False
        ) as process,
    ):
        assert process.stdout is not None, "stdout is a pipe"
        for line in process.stdout:
            log.write(line)
            tail = [*tail[-9:], line]
            if line.strip().startswith("Downloading") and line.rstrip().endswith(("MB)", "GB)")):
                print("   ", line.strip(), flush=True)
    if process.returncode:
        raise RuntimeError(f"{what}: failed with exit code {process.returncode}\n{''.join(tail)}")
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)


def _build_venv(folder: Path) -> None:
    _run("make the environment", sys.executable, "-m", "venv", folder)
    python, constraints = folder / "bin" / "python", folder / "constraints.txt"
    pip = (python, "-m", "pip", "install", "--no-input", "--progress-bar", "off")
    index = os.environ.get("XINFLIGHT_TORCH_INDEX")
    _run(f"install {TORCH} (the largest part)", *pip, *(("--index-url", index) if index else ()), TORCH)
    # The installed build's full version (+cpu), or pip could take another build while it resolves the rest.
    show = "import importlib.metadata as m; print('torch==' + m.version('torch'))"
    torch = subprocess.run([python, "-c", show], check=True, capture_output=True, text=True).stdout.strip()
    constraints.write_text("\n".join([torch, *CONSTRAINTS]) + "\n", encoding="utf-8")
    _run(f"install {XINFERENCE} itself", *pip, "--no-deps", XINFERENCE)
    _run(f"install the {len(PACKAGES)} packages it needs", *pip, "-c", constraints, *PACKAGES)
    size = sum(f.lstat().st_size for f in folder.rglob("*") if not f.is_dir())
    print(f"the environment takes {size / 1e9:.1f} GB", flush=True)


def _build_model(folder: Path) -> None:
    _run("build the tiny Z-Image model", venv_bin("python"), MODEL_SCRIPT, folder)


def _build_kinds(folder: Path) -> None:
    pip = (venv_bin("python"), "-m", "pip", "install", "--no-input", "--progress-bar", "off", "--no-deps")
    _run("install what writes videos", *pip, "--target", folder / "packages", *VIDEO_PACKAGES)
    _run("build the tiny video and chat models", venv_bin("python"), KINDS_SCRIPT, folder / "video", folder / "chat")


def _build_edit(folder: Path) -> None:
    _run("build the tiny edit model", venv_bin("python"), EDIT_SCRIPT, folder)


@contextmanager
def _locked() -> Iterator[None]:
    """Hold the folder's lock; a second installer waits for the first, and finds its work done."""
    home().mkdir(parents=True, exist_ok=True)
    with (home() / "lock").open("w", encoding="utf-8") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another process is installing; waiting for it ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install() -> None:
    """Make what is missing, printing each step with its seconds; done twice, the second time is instant.

    Raises:
        RuntimeError: a step failed; the text names it and ends with its last output.
        OSError: the cache folder can't be written.
    """
    with _locked():
        if not venv_bin("python").exists():
            (home() / "venv" / ".recipe").unlink(missing_ok=True)
        _make(home() / "venv", _venv_recipe(), _build_venv)
        _make(model_path(), _model_recipe(), _build_model)
        _make(kinds_path(), _kinds_recipe(), _build_kinds)
        _make(edit_path(), _edit_recipe(), _build_edit)


if __name__ == "__main__":
    try:
        install()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Xinference could not be installed: {error}")
    print(f"Xinference 4.1.0 and tiny models for images, edits, videos and chats are ready in {home()}")
