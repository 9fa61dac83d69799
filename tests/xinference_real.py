"""Run a real Xinference 4.1.0 with the tiny Z-Image model, for tests.

`RealXinference` is blocking on purpose: session fixtures use it outside any event loop, and an async test
calls it through `asyncio.to_thread`. It reads /proc, so it runs on Linux only.
"""

import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import xinference_install

MODEL = "tiny-z-image"
PAIR = "tiny-pair"
PAIR_DEFAULTS = {"num_inference_steps": 6, "guidance_scale": 2.5}
REGISTRATION = {
    "version": 2,
    "model_name": MODEL,
    "model_family": "stable_diffusion",
    "model_id": None,
    "model_revision": None,
    "model_uri": str(xinference_install.model_path()),
    "model_ability": ["text2image", "image2image", "inpainting"],
    "controlnet": [],
    "default_model_config": {"torch_dtype": "float32"},  # float16, the default, is far slower on a CPU
    "default_generate_config": {},
}
REGISTRATIONS = {
    MODEL: REGISTRATION,
    PAIR: REGISTRATION | {"model_name": PAIR, "default_generate_config": PAIR_DEFAULTS},
}
PASSWORD = "correct horse battery"
BUSY_SECONDS = 60.0
START_SECONDS = 300.0  # it takes 20 s on two quiet cores, nearly all of it imports
LAUNCH_SECONDS = 300.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.05

# Without the user's proxies, which would not know our loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class XinferenceError(RuntimeError):
    """The server did not do what was asked; the text ends with the tail of its log where that helps."""


class _Launch(NamedTuple):
    uid: str
    replicas: int
    request_limits: int | None


class _Process(NamedTuple):
    pid: int
    group: int
    title: str
    cpu_seconds: float


def _processes() -> list[_Process]:
    """Read every living process from /proc; one that ends meanwhile, and a zombie, is left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The name in parentheses may hold blanks, so split after its end: fields of proc(5) from `state`.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            if fields[0] != "Z":
                found.append(_Process(int(folder.name), int(fields[2]), title, cpu))
    return found


def _free_port() -> int:
    """Return a free port below the range of outgoing connections: Xinference binds it some 15 s from now."""
    for port in random.sample(range(20000, 32000), 50):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise XinferenceError("no free port between 20000 and 32000")


class RealXinference:
    """One Xinference server on a loopback port, with its own home, session and process group.

    Use it as a context manager: leaving it stops every process and removes the home. They also end when this
    process is killed. After `start` (done on entry) `launch` gives models; clients need `url` and `headers`.

    Args:
        auth: the server's accounts and API keys are on; `api_key` is made at the start.
        env: added to the server's environment, such as `{"XINFERENCE_UPLOAD_PROGRESS_SPAN": "0.01"}`.
    """

    def __init__(self, *, auth: bool = False, env: dict[str, str] | None = None) -> None:
        self.auth = auth
        self.api_key: str | None = None
        self.home = Path(tempfile.mkdtemp(prefix="xinflight-xinference-"))
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = env or {}
        self._log = self.home / "server.log"
        self._main: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._launches: dict[str, _Launch] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that a client must send: the API key with auth on, none otherwise."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    # -- the server

    def start(self) -> None:
        """Start the server, wait until it is ready, make the API key and register the tiny model, twice.

        As `tiny-z-image` it has no defaults, as `tiny-pair` it has PAIR_DEFAULTS.

        Raises:
            XinferenceError: not ready within START_SECONDS, or ended before; the text holds the tail of its log.
        """
        self._spawn()
        if self.auth:
            self._make_api_key()
        for registration in REGISTRATIONS.values():
            body = {"model": json.dumps(registration), "persist": True}
            self.admin("POST", "/v1/model_registrations/image", body)

    def stop(self) -> None:
        """End every process of the server (SIGTERM, then SIGKILL for the group) and remove its home."""
        try:
            self._halt()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def restart(self) -> None:
        """Stop the server and start it again on the same port and home, with the same models launched anew.

        A running model does not survive a restart of Xinference; registrations, accounts and keys do.
        """
        self._halt()
        self._spawn()
        for launch in list(self._launches.values()):
            self._launch(launch)

    def _spawn(self) -> None:
        own = {
            "XINFERENCE_HOME": str(self.home),
            "TMPDIR": str(self.home),
            "XINFERENCE_AUTH_ADVANCED": "1" if self.auth else "0",
            "XINFERENCE_ENABLE_VIRTUAL_ENV": "0",  # it would install packages for each model
            "XINFERENCE_MODEL_SRC": "huggingface",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(xinference_install.kinds_path() / "packages"),
        }
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("XINFERENCE_", "PYTHON"))}
        program = str(xinference_install.venv_bin("xinference-local"))
        with self._log.open("ab") as log:
            self._main = subprocess.Popen(
                [program, "-H", "127.0.0.1", "-p", str(self.port)],
                env=inherited | own | self._env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # SIGKILL of this process would leave 2 GB of orphans: the guard sees its pipe end and ends the group.
        script = 'read _; kill -s KILL -- "-$1"; rm -rf "$2"'  # "kill -KILL --" is an error in some shells
        self._guard = subprocess.Popen(
            ["sh", "-c", script, "guard", str(self._main.pid), self.home],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait("Xinference is not ready", START_SECONDS, self._ready)

    def _ready(self) -> bool:
        if self._main is None or self._main.poll() is not None:
            raise XinferenceError(f"Xinference ended while it started; its log ends with:\n{self.log_tail()}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self._request("GET", "/status", None, {})[0] == 200
        return False

    def _halt(self) -> None:
        main, guard, self._main, self._guard = self._main, self._guard, None, None
        if guard is not None:
            guard.kill()  # first, or it would see its pipe end
            guard.communicate()
        if main is None:
            return
        main.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            main.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(main.pid, signal.SIGKILL)
        main.wait()
        self._wait("processes are left", STOP_SECONDS, lambda: all(p.group != main.pid for p in _processes()))

    def _wait(self, complaint: str, seconds: float, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise XinferenceError(f"{complaint} after {seconds:.0f} s; log:\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    # -- models

    def launch(self, uid: str = MODEL, *, replicas: int = 1, request_limits: int | None = None) -> None:
        """Launch the tiny model under `uid` (10 s, 16 s with two replicas); `request_limits` is per replica.

        Raises:
            XinferenceError: the server refused, or took more than LAUNCH_SECONDS.
        """
        launch = _Launch(uid, replicas, request_limits)
        self._launch(launch)
        self._launches[uid] = launch

    def _launch(self, launch: _Launch) -> None:
        body: dict[str, Any] = {
            "model_uid": launch.uid,
            "model_name": launch.uid if launch.uid in REGISTRATIONS else MODEL,
            "model_type": "image",
            "model_path": str(xinference_install.model_path()),  # without it a fresh home fails (errno 2)
            "replica": launch.replicas,
        }
        if launch.request_limits is not None:
            body["request_limits"] = launch.request_limits
        self.admin("POST", "/v1/models", body)

    def terminate(self, uid: str) -> None:
        """Take the model down as an administrator does; its running generations die with 500."""
        self.admin("DELETE", f"/v1/models/{uid}")
        del self._launches[uid]

    def _model_processes(self, uid: str) -> list[_Process]:
        group = self._main.pid if self._main else -1
        prefix = f"Model: {uid}-rep"
        return [p for p in _processes() if p.group == group and p.title.startswith(prefix)]

    def model_pids(self, uid: str = MODEL) -> list[int]:
        """Return the process id of each living replica of the model."""
        return sorted(p.pid for p in self._model_processes(uid))

    def model_cpu_seconds(self, uid: str = MODEL) -> float:
        """Return the CPU seconds (user and system, all threads) that the model's processes have used."""
        return sum(p.cpu_seconds for p in self._model_processes(uid))

    def cpu_share(self, seconds: float, uid: str = MODEL) -> float:
        """Watch for some seconds; return how many cores the model's processes kept busy."""
        before, began = self.model_cpu_seconds(uid), time.monotonic()
        time.sleep(seconds)
        return (self.model_cpu_seconds(uid) - before) / (time.monotonic() - began)

    def wait_busy(self, uid: str = MODEL) -> None:
        """Wait until the model has computed for half a second more, however much of the machine is left for it."""
        enough = self.model_cpu_seconds(uid) + 0.5
        self._wait(f"{uid} computes nothing", BUSY_SECONDS, lambda: self.model_cpu_seconds(uid) >= enough)

    def kill_model(self, uid: str = MODEL) -> list[int]:
        """Kill the model's processes with SIGKILL and return their pids; new ones come in about 12 s."""
        pids = self.model_pids(uid)
        if not pids:
            raise XinferenceError(f"{uid} has no process to kill")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return pids

    def wait_model(self, uid: str = MODEL) -> None:
        """Wait until every replica is READY and has a process, as after `kill_model`; at most LAUNCH_SECONDS."""
        self._wait(f"{uid} has not come back", LAUNCH_SECONDS, lambda: self._model_ready(uid))

    def _model_ready(self, uid: str) -> bool:
        # For 2 s after a kill /replicas still says READY, hence the count of processes.
        status, replicas = self._request("GET", f"/v1/models/{uid}/replicas", None, self.headers)
        ready = status == 200 and bool(replicas) and all(r["status"] == "READY" for r in replicas)
        return ready and len(self.model_pids(uid)) == len(replicas)

    # -- the log

    def log_size(self) -> int:
        """Return the log's size in bytes, to be given to `steps` later."""
        return self._log.stat().st_size

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines of what the server printed."""
        if not self._log.exists():
            return "(no log)"
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def steps(self, since: int = 0) -> list[tuple[int, int]]:
        """Return the (step, of) pairs that the progress bars printed after byte `since` of the log."""
        with self._log.open("rb") as log:
            log.seek(since)
            return [(int(a), int(b)) for a, b in re.findall(rb"\| (\d+)/(\d+) \[", log.read())]

    # -- HTTP

    def _request(self, method: str, path: str, body: object, headers: dict[str, str]) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with _opener.open(request, timeout=LAUNCH_SECONDS) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Call the server as its administrator.

        Raises:
            XinferenceError: it refused.
        """
        headers = {"Authorization": f"Bearer {self._admin_token()}"} if self.auth else {}
        return self._expect(method, path, body, headers)

    def _expect(self, method: str, path: str, body: object, headers: dict[str, str]) -> Any:
        status, answer = self._request(method, path, body, headers)
        if status >= 300:
            raise XinferenceError(f"{method} {path}: {status} {answer}\nlog:\n{self.log_tail()}")
        return answer

    def _admin_token(self) -> str:
        """Log in; a token lives 30 min, so each use makes its own."""
        account = {"username": "admin", "password": PASSWORD}
        token: str = self._expect("POST", "/token", account, {})["access_token"]
        return token

    def _make_api_key(self) -> None:
        found = re.search(r"Setup token:\s*(\S+)", self._log.read_text(errors="replace"))
        if found is None:
            raise XinferenceError(f"no setup token in the log:\n{self.log_tail()}")
        account = {"username": "admin", "password": PASSWORD, "setup_token": found[1]}
        self._expect("POST", "/v1/admin/setup", account, {})
        _, self.api_key = self.add_key("gateway")

    def add_key(self, name: str) -> tuple[int, str]:
        """Make one more API key; return its id and the key."""
        made = self.admin("POST", "/v1/admin/keys", {"name": name})
        return made["id"], made["key"]

    def revoke_key(self, key_id: int) -> None:
        """Take an API key back: from now on it is a bad one."""
        self.admin("DELETE", f"/v1/admin/keys/{key_id}")
