#!/usr/bin/env python3
"""bench.py BUILD: measure Holdfast and the peers that are installed on one corpus (docs/BENCH.md).

Environment: BENCH_SCALE BENCH_RUNS BENCH_SMALL BENCH_PEERS BENCH_SCENARIOS BENCH_DIR BENCH_KEEP
BENCH_ZSTD_LEVEL; BENCH_S3 (tests/bench/s3.sh sets it); HOLDFAST RESTIC BORG name other programs than those found.
Exit status: 0 all was measured, 1 something failed, 2 it cannot begin, 130 interrupted.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from bench_table import BOUNDS, LIMITS, S3_BOUNDS, S3_LIMITS, TITLES, table
from bench_tools import PEERS, Failed, Holdfast, claim

GIB = 1 << 30
# At scale 1, measured: what lies on the disk for the tree, one restored tree, one repository.
PLANT_BYTES, PLANT_REPOSITORY_BYTES = 5.2e9, 2.5e9
SMALL_FILE_BYTES, SMALL_FILE_REPOSITORY_BYTES = 4500, 1400
BATCHES, SMALL_FILES = 40000, 1000000
PLANT = ("full", "zstd", "nochange", "reread", "day2", "restore", "verify", "retain")
SMALL = ("small-full", "small-nochange", "small-restore")
SETTLE_S = 3.1  # a file changed just before a backup is read again by the next: let it get older


class Usage(Exception):
    """The benchmark cannot begin."""


def number(name, default, kind):
    text = os.environ.get(name) or str(default)
    try:
        value = kind(text)
    except ValueError:
        raise Usage(f"{name}={text} is no number") from None
    if not value > 0:
        raise Usage(f"{name}={text} must be more than 0")
    return value


class Settings:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.scale = number("BENCH_SCALE", 1, float)
        if self.scale > 100:
            raise Usage("BENCH_SCALE is at most 100")
        self.runs = number("BENCH_RUNS", 3, int)
        self.small = number("BENCH_SMALL", max(int(SMALL_FILES * min(self.scale, 1)), 100), int)
        self.level = number("BENCH_ZSTD_LEVEL", 1, int)
        self.keep = bool(os.environ.get("BENCH_KEEP"))
        self.parent = os.path.realpath(os.environ.get("BENCH_DIR") or tempfile.gettempdir())
        wanted = os.environ.get("BENCH_SCENARIOS", "").split() or list(TITLES)
        unknown = set(wanted) - set(TITLES)
        if unknown:
            raise Usage(f"BENCH_SCENARIOS: there is no {', '.join(sorted(unknown))};"
                        f" there are {' '.join(TITLES)}")
        first = {"full"} if set(wanted) & set(PLANT) else set()
        first |= {"small-full"} if set(wanted) & set(SMALL) else set()
        self.scenarios = set(wanted) | first
        self.is_s3 = bool(os.environ.get("BENCH_S3"))
        self.peers = os.environ.get("BENCH_PEERS", "restic borg").split()
        if self.is_s3 and "borg" in self.peers:
            raise Usage("BENCH_S3: borg speaks to no object store; set BENCH_PEERS=restic")
        unknown = set(self.peers) - {peer.name for peer in PEERS}
        if unknown:
            raise Usage(f"BENCH_PEERS: {', '.join(sorted(unknown))} is not known;"
                        f" known are {' '.join(peer.name for peer in PEERS)}")

    def program(self, tool):
        """The path of a tool's program, None when it is not there and was not asked for."""
        default = os.path.join(self.build, "holdfast") if tool is Holdfast else tool.name
        path = shutil.which(os.environ.get(tool.variable) or default)
        if path is None and (os.environ.get(tool.variable) or tool is Holdfast):
            raise Usage(f"{tool.variable}={os.environ.get(tool.variable) or default}:"
                        " no such program")
        return path and os.path.abspath(path)


def check_room(settings, tools):
    """Before anything is written: is there room for the larger of the two parts?"""
    need, files = 0.0, 0
    if settings.scenarios & set(PLANT):
        need = settings.scale * (2 * PLANT_BYTES + (tools + 1) * PLANT_REPOSITORY_BYTES)
        files = int(settings.scale * 3 * BATCHES)
    if settings.scenarios & set(SMALL):
        need = max(need, settings.small * (2 * SMALL_FILE_BYTES
                                           + tools * SMALL_FILE_REPOSITORY_BYTES))
        files = max(files, settings.small * 5 // 2)
    there = os.statvfs(settings.parent)
    free = there.f_bavail * there.f_frsize
    if free < need * 1.1:
        raise Usage(f"{settings.parent}: {need * 1.1 / GIB:.1f} GiB are needed, "
                    f"{free / GIB:.1f} GiB are free; set BENCH_DIR or a smaller BENCH_SCALE")
    if there.f_files and there.f_favail < files:
        raise Usage(f"{settings.parent}: {files} files are needed, {there.f_favail} are free")


class Bench:
    def __init__(self, settings, work):
        self.settings = settings
        self.work = work
        self.tree = os.path.join(work, "plant")
        self.back = os.path.join(work, "restored")
        self.tools = [Holdfast(settings.program(Holdfast), work)]
        self.results, self.failed, self.notes = {}, set(), []
        self.out = set()  # tools that failed in this run
        self.run = 0
        self.child = None
        for peer in PEERS:
            if peer.name in settings.peers:
                program = settings.program(peer)
                if program:
                    self.tools.append(peer(program, work))
                else:
                    self.note(f"{peer.name} is not installed (make setup-bench)")

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def corpus(self, *arguments):
        done = subprocess.run([os.path.join(self.settings.build, "bench/corpus"), *arguments],
                              check=False, capture_output=True, text=True)
        claim(done.returncode == 0, f"corpus {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def warm(self, path):
        """Nothing waits to be written, and all of the path lies in the page cache."""
        os.sync()
        return [int(word) for word in self.corpus("warm", path).split()]

    def measure(self, command, env, cwd=None, stdin=subprocess.DEVNULL):
        """One command under the meter; what it cost, and what it printed."""
        cost = os.path.join(self.work, "cost.json")
        texts = [os.path.join(self.work, name) for name in ("stdout", "stderr")]
        with open(texts[0], "wb") as out, open(texts[1], "wb") as err:
            self.child = subprocess.Popen(
                [os.path.join(self.settings.build, "bench/meter"), cost, *command], env=env,
                cwd=cwd, stdin=stdin, stdout=out, stderr=err, start_new_session=True)
            rc = self.child.wait()
            self.child = None
        text, trouble = (open(one, encoding="utf-8", errors="replace").read() for one in texts)
        claim(rc == 0, f"the meter failed: {trouble.strip()[-600:]}")
        with open(cost, encoding="ascii") as f:
            told = json.load(f)
        claim(told["status"] == 0, f"{' '.join(command[:3])}: exit {told['status']}: "
                                   f"{(trouble.strip() or text.strip())[-600:]}")
        return {"wall_s": told["wall_s"], "cpu_s": told["user_s"] + told["sys_s"],
                "rss_mib": told["rss_kib"] / 1024, "anon_mib": told["anon_kib"] / 1024}, text

    def keep(self, scenario, tool, found):
        found["run"] = self.run
        self.results.setdefault((scenario, tool), []).append(found)
        line = " ".join(f"{key}={value:.2f}" if isinstance(value, float) else f"{key}={value}"
                        for key, value in found.items())
        print(f"{scenario:15} {tool:9} {line}", flush=True)

    def turns(self, scenario):
        """The tools in their order: another one begins with every run."""
        if scenario not in self.settings.scenarios:
            return []
        tools = [tool for tool in self.tools if tool.name not in self.out
                 and not (scenario in SMALL and tool.name == "borg")]
        first = (self.run - 1) % max(len(tools), 1)
        return tools[first:] + tools[:first]

    def each(self, scenario, step):
        for tool in self.turns(scenario):
            try:
                found = step(tool)
                if found is not None:
                    self.keep(scenario, tool.name, found)
            except (Failed, OSError, ValueError, KeyError) as why:
                self.failed.add((scenario, tool.name))
                self.out.add(tool.name)
                print(f"{scenario:15} {tool.name:9} FAILED: {why}", flush=True)

    # ---- the steps -------------------------------------------------------------------------
    def backup(self, snapshots, begin=False, reread=False):
        """Back up the tree; as many snapshots must be there afterwards."""
        def step(tool):
            if begin:
                tool.begin()
            before = tool.repository_bytes()
            files, size = self.warm(self.tree)
            found, text = self.measure(tool.backup(self.tree, reread), tool.env)
            tool.check_backup(text, files, size, reread)
            there = tool.snapshots()
            claim(there == snapshots, f"{there} snapshots instead of {snapshots}")
            found["repo"] = tool.repository_bytes()
            found["growth"] = found["repo"] - before
            found["cpu_us_per_file"] = found["cpu_s"] * 1e6 / files
            index = tool.index_bytes_per_record()
            if index is not None:
                found["index_bytes"] = index
            return found
        return step

    def warm_repository(self, tool):
        if self.settings.is_s3:
            os.sync()  # what it keeps in memory is the server's affair, and alike for all
        else:
            self.warm(tool.repo)

    def restore(self, tool):
        self.warm_repository(tool)
        os.mkdir(self.back)
        try:
            command, folder = tool.restore(self.back)
            found, _ = self.measure(command, tool.env, cwd=folder)
            start = time.monotonic()
            subprocess.run(["sync", "-f", self.back], check=True)
            found["disk_s"] = found["wall_s"] + time.monotonic() - start
            done = subprocess.run(
                [os.path.join(self.settings.build, "tools/treecmp"), "-oh", self.tree,
                 self.back + self.tree], check=False, capture_output=True, text=True)
            claim(done.returncode == 0, "the restored tree differs: "
                  + (done.stdout + done.stderr).strip()[:600])
        finally:
            shutil.rmtree(self.back)
        return found

    def verify(self, tool):
        self.warm_repository(tool)
        found, text = self.measure(tool.verify(), tool.env)
        tool.check_verify(text)
        return found

    def retain(self, tool):
        command, why = tool.retain()
        if command is None:
            self.note(f"{TITLES['retain']}: {why}")
            return None
        before = tool.repository_bytes()
        self.warm_repository(tool)
        found, _ = self.measure(command, tool.env)
        there = tool.snapshots()
        claim(there == 1, f"{there} snapshots instead of 1")
        found["repo"] = tool.repository_bytes()
        found["growth"] = found["repo"] - before
        return found

    def zstd(self):
        """What compressing and decompressing the same bytes costs, through pipes, one thread."""
        if "zstd" not in self.settings.scenarios:
            return
        if shutil.which("zstd") is None:
            self.note("zstd is not installed")
            return
        packed = os.path.join(self.work, "packed.zst")
        try:
            self.warm(self.tree)
            with subprocess.Popen([os.path.join(self.settings.build, "bench/corpus"), "cat",
                                   self.tree], stdout=subprocess.PIPE) as cat:
                there, _ = self.measure(["zstd", "-q", "-T1", f"-{self.settings.level}", "-o",
                                         packed], os.environ, stdin=cat.stdout)
            claim(cat.returncode == 0, "corpus cat failed")
            back, _ = self.measure(["sh", "-c", f"zstd -q -d -c '{packed}' >/dev/null"],
                                   os.environ)
            self.keep("zstd", "zstd", {"wall_s": there["wall_s"] + back["wall_s"],
                                       "cpu_s": there["cpu_s"] + back["cpu_s"],
                                       "repo": os.path.getsize(packed)})
        except (Failed, OSError) as why:
            self.failed.add(("zstd", "zstd"))
            print(f"zstd FAILED: {why}", flush=True)
        finally:
            if os.path.exists(packed):
                os.remove(packed)

    # ---- the two parts ---------------------------------------------------------------------
    def plant(self):
        scale = str(self.settings.scale)
        self.corpus("plant", "-s", scale, self.tree)
        time.sleep(SETTLE_S)
        self.each("full", self.backup(1, begin=True))
        self.zstd()
        self.each("nochange", self.backup(2))
        snapshots = 1 + ("nochange" in self.settings.scenarios)
        self.each("reread", self.backup(snapshots + 1, reread=True))
        snapshots += "reread" in self.settings.scenarios
        if "day2" in self.settings.scenarios:
            self.corpus("day2", "-s", scale, self.tree)
        self.each("day2", self.backup(snapshots + 1))
        self.each("restore", self.restore)
        self.each("verify", self.verify)
        self.each("retain", self.retain)

    def small(self):
        self.corpus("small", str(self.settings.small), self.tree)
        time.sleep(SETTLE_S)
        self.each("small-full", self.backup(1, begin=True))
        self.each("small-nochange", self.backup(2))
        self.each("small-restore", self.restore)

    def clear(self):
        for tool in self.tools:
            tool.clear()
        shutil.rmtree(self.tree, ignore_errors=True)

    def go(self):
        for tool in self.tools:
            print(f"{tool.name}: {tool.version()} ({tool.program})")
        print(f"scale {self.settings.scale:g}, {self.settings.small} small files, "
              f"{self.settings.runs} runs, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.2f}, "
              f"in {self.work}", flush=True)
        for self.run in range(1, self.settings.runs + 1):
            for part, scenarios in ((self.plant, PLANT), (self.small, SMALL)):
                if self.settings.scenarios & set(scenarios):
                    self.out = set()
                    part()
                    if not (self.settings.keep and self.run == self.settings.runs):
                        self.clear()
        order = [tool.name for tool in self.tools] + ["zstd"]
        if "small-full" in self.settings.scenarios and "borg" in order:
            self.note("the small files are measured beside restic only")
        limits = (S3_LIMITS, S3_BOUNDS) if self.settings.is_s3 else (LIMITS, BOUNDS)
        print(table(self.results, order, self.failed, self.notes, *limits))
        return 1 if self.failed else 0

    def stop(self):
        """End what still runs: the meter's whole session."""
        if self.child is not None and self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(self.child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.child.wait()


def main():
    def interrupt(number, _):
        raise KeyboardInterrupt(number)
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, interrupt)
    try:
        settings = Settings(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__))
        if not os.path.isdir(settings.parent):
            raise Usage(f"{settings.parent}: no such directory")
        check_room(settings, 1 + len(settings.peers))
        work = tempfile.mkdtemp(prefix="holdfast-bench.", dir=settings.parent)
    except (Usage, OSError) as why:
        print(f"bench: {why}", file=sys.stderr)
        return 2
    bench = None
    try:
        bench = Bench(settings, work)
        return bench.go()
    except Usage as why:
        print(f"bench: {why}", file=sys.stderr)
        return 2
    except Failed as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    finally:
        if bench is not None:
            bench.stop()
        if settings.keep:
            print(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
