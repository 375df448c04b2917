#!/usr/bin/env python3
"""Claims about a mounted vault that take more than a command; each exits 0 if it holds.

  image FILE              make a disk image of 200 MiB with holes
  links TREE MOUNTED      the same number of names for each file
  holes FILE MOUNTED      data and holes begin and end at the same offsets
  readers FILE MOUNTED    eight threads read the same bytes at random places
  damage FILE MOUNTED     each 64 KiB is right or an input/output error; both are met
  bench FILE MOUNTED      seconds to read in order and in 8 KiB pieces at random, as ratios
"""
import errno
import os
import random
import sys
import threading
import time

MIB = 1 << 20


def image(path):
    r = random.Random(7)
    with open(path, "wb") as f:
        for i in range(60):
            f.seek(i * 2 * MIB)
            f.write(r.randbytes(MIB + r.randrange(300000)))
        f.truncate(200 * MIB)


def links(tree, mounted):
    tree, mounted = os.fsencode(tree), os.fsencode(mounted)
    linked = 0
    for top, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(top, name)
            want, there = os.lstat(path), os.lstat(mounted + path[len(tree):])
            assert want.st_nlink == there.st_nlink, (path, want.st_nlink, there.st_nlink)
            linked += want.st_nlink > 1
    assert linked > 1


def hole_list(path):
    fd, at, out = os.open(path, os.O_RDONLY), 0, []
    size = os.fstat(fd).st_size
    while at < size and (at := os.lseek(fd, at, os.SEEK_HOLE)) < size:
        try:
            end = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            assert e.errno == errno.ENXIO
            end = size
        out.append((at, end))
        at = end
    return out


def holes(path, mounted):
    want, there = hole_list(path), hole_list(mounted)
    assert len(want) > 30 and want == there, (len(want), len(there), want[:3], there[:3])
    allocated = os.stat(mounted).st_blocks * 512
    assert allocated < os.stat(mounted).st_size, allocated


def opened(path, mounted):
    return os.open(path, os.O_RDONLY), os.open(mounted, os.O_RDONLY)


def readers(path, mounted):
    want, there = opened(path, mounted)
    size, bad = os.fstat(want).st_size, []

    def read(seed):
        r = random.Random(seed)
        for _ in range(300):
            n, at = r.randrange(1, 200000), r.randrange(size)
            if os.pread(want, n, at) != os.pread(there, n, at):
                bad.append((n, at))
    threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad, bad[:3]


def damage(path, mounted):
    want, there = opened(path, mounted)
    good = bad = 0
    for at in range(0, os.fstat(want).st_size, 65536):
        try:
            got = os.pread(there, 65536, at)
        except OSError as e:
            assert e.errno == errno.EIO, e
            bad += 1
            continue
        expected = os.pread(want, 65536, at)
        assert got == expected[:len(got)], at
        if len(got) < len(expected): # what lies before the damage is given: then comes the error
            try:
                os.pread(there, 4096, at + len(got))
                assert False, (at, len(got))
            except OSError as e:
                assert e.errno == errno.EIO, e
            bad += 1
            continue
        good += 1
    assert bad and good > 2000, (good, bad)


def timed_read(fd, pieces, length):
    begin = time.monotonic()
    for at in pieces:
        assert len(os.pread(fd, length, at)) == length
    return time.monotonic() - begin


def bench(path, mounted):
    size = os.stat(path).st_size
    in_order = range(0, size - MIB, MIB)
    r = random.Random(3)
    at_random = [r.randrange(size // 8192) * 8192 for _ in range(4000)]
    for name, pieces, length in (("in order, 1 MiB", in_order, MIB),
                                 ("at random, 8 KiB", at_random, 8192),
                                 ("the same again", at_random, 8192)):
        took = []
        for one in (path, mounted):
            fd = os.open(one, os.O_RDONLY)
            if name != "the same again":
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            took.append(timed_read(fd, pieces, length))
            os.close(fd)
        done = len(pieces) * length / MIB
        print(f"{name:18} file {done / took[0]:8.0f} MiB/s   mount {done / took[1]:8.0f} MiB/s"
              f"   mount/file {took[1] / took[0]:6.2f} x the time,"
              f" {took[1] / len(pieces) * 1e6:7.0f} us a read")


if __name__ == "__main__":
    {"image": image, "links": links, "holes": holes, "readers": readers, "damage": damage,
     "bench": bench}[sys.argv[1]](*sys.argv[2:])
