"""Run a program with the system calls that a systemd unit leaves it: `python sandboxed.py UNIT PROGRAM ARGUMENT...`.

Any other call kills it by SIGSYS, which nothing can overlook; the units answer with EPERM. Needs libseccomp, and
`systemd-analyze` to tell what is in a set of calls.
"""

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

KILL_PROCESS, ALLOW = 0x80000000, 0x7FFF0000
SET_NO_NEW_PRIVS, SET_MDWE = 38, 65


def sets() -> dict[str, list[str]]:
    """Return what is in each set of calls: calls, and other sets."""
    told = subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = {}
    name = ""
    for line in told.splitlines():
        if line.startswith("@"):
            name = line.strip()
        elif line.startswith(" ") and not line.strip().startswith("#"):
            found.setdefault(name, []).append(line.strip())
    return found


def members(known: dict[str, list[str]], name: str) -> set[str]:
    """Return the calls of a set, with those of the sets in it; a call is itself."""
    return set[str]().union(*(members(known, each) for each in known[name])) if name in known else {name}


def allowed(unit: str) -> set[str]:
    """Return the calls that the lines SystemCallFilter= of a unit leave; `@default` stays (systemd.exec(5))."""
    known = sets()
    always = members(known, "@default")
    calls = set(always)
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        named = set[str]().union(*(members(known, name) for name in line.lstrip("~").split()))
        calls = calls - (named - always) if line.startswith("~") else calls | named
    if os.geteuid() == 0:
        # SQLite of root gives its files to whom the database belongs to; the units have a user of their own.
        calls |= members(known, "@chown")
    return calls


def confine(unit: str) -> None:
    """Give up all other calls, and with MemoryDenyWriteExecute= memory that is both written and run."""
    calls = allowed(unit)
    seccomp, libc = ctypes.CDLL("libseccomp.so.2"), ctypes.CDLL(None)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(KILL_PROCESS)))
    for call in calls:
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        # Negative: this processor does not have it.
        if number >= 0:
            assert seccomp.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0) == 0, call
    assert libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if "MemoryDenyWriteExecute=yes" in unit:
        # Linux 6.3 and newer; before it, systemd has filters of its own for that.
        libc.prctl(SET_MDWE, 1, 0, 0, 0)
    assert seccomp.seccomp_load(context) == 0


if __name__ == "__main__":
    confine(Path(sys.argv[1]).read_text("utf-8"))
    os.execv(sys.argv[2], sys.argv[2:])
