#!/usr/bin/env python3
"""deny_netns.py COMMAND...: run it under a system call filter that refuses unshare(CLONE_NEWNET), as
a hardened host or container does.  What makes its namespaces by clone(), as bubblewrap, still can."""
import ctypes
import os
import platform
import struct
import sys

# machine: (audit architecture, number of unshare)
KNOWN = {"x86_64": (0xC000003E, 272), "aarch64": (0xC00000B7, 97)}
CLONE_NEWNET, EPERM = 0x40000000, 1
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

arch, unshare = KNOWN[platform.machine()]
program = b"".join(struct.pack("=HBBI", *x) for x in (
    (LOAD, 0, 0, 4), (EQUAL, 0, 5, arch),
    (LOAD, 0, 0, 0), (EQUAL, 0, 3, unshare),
    (LOAD, 0, 0, 16), (ANY_BIT, 0, 1, CLONE_NEWNET),
    (RETURN, 0, 0, ERRNO | EPERM), (RETURN, 0, 0, ALLOW)))


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
filter_ = Program(len(program) // 8, program)
for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
             (PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(filter_), 0, 0)):
    if libc.prctl(*call) != 0:
        sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
if libc.unshare(CLONE_NEWNET) == 0:
    sys.exit("the filter does not hold")
os.execvp(sys.argv[1], sys.argv[1:])
