"""Confining a process by the kernel, as far as the system lets an ordinary user do it: what an agent's process does before the agent.

Linux: user, process, mount, network and IPC namespaces, Landlock, resource limits, no capabilities. Elsewhere: resource limits. Nothing
here raises: whatever cannot be had is left out and said, so that the run's ``confinement`` tells what held and not what was wished for.

This module runs in the agent's process, so it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable
from typing import Any

LINUX = sys.platform == "linux"
KERNEL, SUPERVISOR, NONE = "kernel", "supervisor", "none"

NOBODY = 65_534
"""The user that an agent of a root host runs as: RLIMIT_NPROC does not bind user 0 of the machine, and root's files shall be its own."""

SCRATCH = "/dev/shm"
_HIDDEN = ("/run",)
"""Where daemons have their sockets: an empty file system is mounted over it."""

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_PDEATHSIG, _KEEPCAPS, _SUBREAPER, _NO_NEW_PRIVS, _AMBIENT = 1, 8, 36, 38, 47
_AMBIENT_RAISE, _READ_SEARCH = 2, 2
_PRIVATE = 0x4000 | 0x40000
_NOSUID_NODEV = 2 | 4


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel signal this process when its parent ends."""
    if LINUX:
        _libc().prctl(_PDEATHSIG, number, 0, 0, 0)


def adopt_orphans() -> bool:
    """Make this process the parent of whatever its descendants leave behind; whether the system can."""
    return LINUX and _libc().prctl(_SUBREAPER, 1, 0, 0, 0) == 0


def unshare() -> dict[str, str]:
    """New namespaces for what this process starts from now on; what that cuts off, by name."""
    held = {"escape": NONE, "network": NONE, "user": NONE}
    if not LINUX:
        return held
    every = _NEWUSER | _NEWPID | _NEWNS | _NEWNET | _NEWIPC
    with _mapper() as map_ids:
        if _libc().unshare(every) != 0 or not map_ids():
            return held
    return held | {"escape": KERNEL, "network": KERNEL, "user": KERNEL}


class _mapper:  # noqa: N801 -- reads as a verb
    """Says who is who in the new user namespace. For root another process must say it, from outside, so that two users can be mapped."""

    def __enter__(self) -> Any:
        self._uid, self._gid, self._pid = os.getuid(), os.getgid(), os.getpid()
        if self._uid != 0:
            return self._map_self
        (ready, self._go), (self._done, done) = os.pipe(), os.pipe()
        self._helper = os.fork()
        if self._helper == 0:
            os.close(self._go)
            if os.read(ready, 1):
                with contextlib.suppress(OSError):
                    _write(f"/proc/{self._pid}/uid_map", f"0 0 1\n{NOBODY} {NOBODY} 1\n")
                    _write(f"/proc/{self._pid}/gid_map", f"0 0 1\n{NOBODY} {NOBODY} 1\n")
                    os.write(done, b"1")
            os._exit(0)
        os.close(ready)
        os.close(done)
        return self._map_by_helper

    def _map_self(self) -> bool:
        try:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{self._uid} {self._uid} 1\n")
            _write("/proc/self/gid_map", f"{self._gid} {self._gid} 1\n")
        except OSError:
            return False
        return True

    def _map_by_helper(self) -> bool:
        os.write(self._go, b"1")
        return os.read(self._done, 1) == b"1"

    def __exit__(self, *_: object) -> None:
        if self._uid == 0:
            os.close(self._go)
            os.close(self._done)
            os.waitpid(self._helper, 0)


def mount_own(scratch_bytes: int, keep: Iterable[str]) -> dict[str, str]:
    """In the new mount namespace: a fresh ``/proc``, scratch space in memory, nothing of the daemons' sockets."""
    libc, own = _libc(), {"scratch": NONE, "proc": NONE}
    if libc.mount(b"none", b"/", None, _PRIVATE, None) != 0:
        return own
    if libc.mount(b"proc", b"/proc", b"proc", _NOSUID_NODEV, None) == 0:
        own["proc"] = KERNEL
    size = f"size={scratch_bytes},mode=1777".encode()
    if os.path.isdir(SCRATCH) and libc.mount(b"tmpfs", SCRATCH.encode(), b"tmpfs", _NOSUID_NODEV, size) == 0:  # noqa: PTH112
        own["scratch"] = KERNEL
    for folder in _HIDDEN:
        if not any(os.path.realpath(path).startswith(folder + "/") for path in keep):
            libc.mount(b"tmpfs", folder.encode(), b"tmpfs", _NOSUID_NODEV, b"size=4096")
    return own


def limit_resources(limits: dict[str, int], watchers: int) -> dict[str, str]:
    """Resource limits, which the agent cannot raise again; which of them the kernel took. ``watchers`` of ours run as the same user."""
    held = {}
    for name, number, value in (
        ("cpu_each", resource.RLIMIT_CPU, limits["cpu_seconds"]),
        ("memory_each", resource.RLIMIT_DATA, limits["memory_bytes"]),
        ("open_files", resource.RLIMIT_NOFILE, limits["open_files"]),
        ("scratch_file", resource.RLIMIT_FSIZE, limits["scratch_bytes"]),
        ("core", resource.RLIMIT_CORE, 0),  # a crash must not write the data to disk
        ("processes", resource.RLIMIT_NPROC, limits["processes"] + watchers),
    ):
        try:
            _, most = resource.getrlimit(number)
            value = value if most == resource.RLIM_INFINITY else min(value, most)
            # One second later where that can be: SIGXCPU says why, SIGKILL does not.
            hard = value + 1 if name == "cpu_each" and most == resource.RLIM_INFINITY else value
            resource.setrlimit(number, (value, hard))
        except (OSError, ValueError):
            held[name] = NONE
        else:
            held[name] = KERNEL
    return held


def drop_privileges(*, mapped: bool) -> bool:
    """No capability, no way to gain one; root becomes nobody, who may still read what root may. Whether RLIMIT_NPROC binds now."""
    if not LINUX:
        return os.getuid() != 0
    libc, read_only = _libc(), 0
    if os.getuid() == 0 and mapped:
        libc.prctl(_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        read_only = 1 << _READ_SEARCH
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)(read_only, read_only, read_only, 0, 0, 0))
    if read_only:
        libc.prctl(_AMBIENT, _AMBIENT_RAISE, _READ_SEARCH, 0, 0)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    return os.getuid() != 0


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123 -- this module stays small: it is loaded before each agent
        file.write(text)
