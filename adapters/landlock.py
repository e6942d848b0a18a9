"""Landlock: the files that a process may still open, by the kernel (Linux 5.13 and later; landlock(7)).

What is not under one of the given paths cannot be read, listed, run or written, whoever the user is: key files, vault and ledger of the
host included.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same on all architectures
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many file rights a version knows; later ones have 16."""
_OF_A_FILE = _EXECUTE | 1 << 1 | _READ_FILE | 1 << 14 | 1 << 15

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt")
_CONFIG = (
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "alternatives",
    "ssl",
    "passwd",
    "group",
    "nsswitch.conf",
    "mime.types",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def restrict_files(readable: Iterable[str], writable: Iterable[str]) -> bool:
    """From now on this process and what it starts open only what lies under these paths and what programs need to run.

    Needs ``no_new_privs``. False where the kernel has no Landlock: then nothing changed.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    every = (1 << _RIGHTS.get(version, 16)) - 1
    attributes = (ctypes.c_uint64 * 1)(every)
    ruleset = libc.syscall(_CREATE, attributes, ctypes.c_size_t(8), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    etc = (f"/etc/{name}" for name in _CONFIG)
    for path in (*SYSTEM, *etc, *readable):
        _allow(libc, ruleset, path, _EXECUTE | _READ_FILE | _READ_DIR)
    for path in (*DEVICES, *writable):
        _allow(libc, ruleset, path, every)
    done: int = libc.syscall(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)
    return done == 0


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """What is not there need not be allowed."""
    try:
        handle = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(handle).st_mode):
        rights &= _OF_A_FILE
    beneath = _Beneath(rights, handle)
    libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(beneath), ctypes.c_uint32(0))
    os.close(handle)
