#!/usr/bin/env python3
"""service_manager.py WATCHDOG-MS COMMAND...: start a daemon as a service manager does, with a
NOTIFY_SOCKET and a watchdog, take it through reloads and its end, and make claims about what it
tells (PASS or FAIL, one a line).  CLOCK-FILE in the environment names libfaketime's file, in which
the daemon's clock is set back by a day on the way."""
import os
import signal
import socket
import subprocess
import sys
import time

WATCHDOG_MS = int(sys.argv[1])
QUIET = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
told = []  # (monotonic, message)


def claim(name, held, more=""):
    print("PASS" if held else "FAIL", name, "" if held else repr(more)[:300], flush=True)


def listen(s, seconds, until=None):
    """Take messages for so long, or until ${until} was told; return the new ones."""
    end, new = time.monotonic() + seconds, []
    while time.monotonic() < end:
        s.settimeout(max(0.001, end - time.monotonic()))
        try:
            data, ancillary, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(12))
        except TimeoutError:
            break
        for line in data.decode().splitlines():
            new.append(line)
            told.append((time.monotonic(), line))
        if until in new:
            break
    return new


def longest_silence():
    """In ms, between signs of life."""
    at = [t for t, line in told if line == "WATCHDOG=1"]
    return max((b - a for a, b in zip(at, at[1:])), default=9e9) * 1000


def main():
    name = "\0holdfast-test-%d" % os.getpid()  # a name of its own, as some managers have
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(name)
    watched = dict(os.environ, NOTIFY_SOCKET="@" + name[1:], WATCHDOG_USEC=str(WATCHDOG_MS * 1000))
    p = subprocess.Popen(["/bin/sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *sys.argv[2:]],
                         env=watched, **QUIET)
    try:
        new = listen(s, 20, "READY=1")
        claim("ready is told once, and first", new == ["READY=1"], new)
        with socket.create_connection(("127.0.0.1", int(os.environ["PEOPLE_PORT"])), 5):
            claim("when it takes calls", True)
        new = listen(s, 2.5 * WATCHDOG_MS / 1000)
        claim("signs of life, and nothing else", set(new) == {"WATCHDOG=1"}, new)
        for what in ("a reload", "another"):
            p.send_signal(signal.SIGHUP)
            new = [x for x in listen(s, 10, "READY=1") if x != "WATCHDOG=1"]
            claim(what + " is told from its beginning to its end", new ==
                  ["RELOADING=1", "READY=1"], new)
        if "CLOCK_FILE" in os.environ:
            with open(os.environ["CLOCK_FILE"], "w") as f:
                f.write("-1d\n")
        new = listen(s, 2.5 * WATCHDOG_MS / 1000)
        claim("a clock that was set back does not silence it", "WATCHDOG=1" in new, new)
        claim("never longer than the watchdog waits", longest_silence() < WATCHDOG_MS,
              longest_silence())
        p.send_signal(signal.SIGTERM)
        new = [x for x in listen(s, 10, "STOPPING=1") if x != "WATCHDOG=1"]
        claim("its end is told", new == ["STOPPING=1"], new)
        claim("and it ends", p.wait(20) == 0, p.returncode)
        claim("without a word more", listen(s, 0.2) == [])
    finally:
        p.kill()
        p.wait()
    if "CLOCK_FILE" not in os.environ:
        check_not_ours(s, watched)


def check_not_ours(s, watched):
    """A watchdog of another process, and none."""
    for name, more in (("of another process", {"WATCHDOG_PID": "1"}), ("of none", {})):
        env = dict(watched, **more)
        if not more:
            del env["WATCHDOG_USEC"]
        p = subprocess.Popen(sys.argv[2:], env=env, **QUIET)
        try:
            listen(s, 20, "READY=1")
            claim("the watchdog " + name + " is not fed", listen(s, 2 * WATCHDOG_MS / 1000) == [])
        finally:
            p.terminate()
            claim("it ends", p.wait(20) == 0, p.returncode)
        listen(s, 0.1)


main()
