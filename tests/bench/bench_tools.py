"""The programs under measurement: how each does what all of them must do (docs/BENCH.md).

A tool knows its commands, its environment and how to tell that a command did what it says; it
runs nothing by itself but what is not measured.
"""
import json
import os
import shutil
import subprocess
import sys

PASSPHRASE = "bench passphrase, of no worth"


class Failed(Exception):
    """A program failed, or did not do what it should have done."""


def output_of(command, env, cwd=None):
    done = subprocess.run(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout


def json_lines(text):
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [one for one in found if isinstance(one, dict)]


def summary_of(text):
    found = [one for one in json_lines(text) if one.get("message_type") == "summary"]
    if not found:
        raise Failed(f"printed no summary: {text.strip()[-300:]}")
    return found[-1]


def claim(held, text):
    if not held:
        raise Failed(text)


def tree_bytes(path):
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_size
    return total


class Tool:
    """One program with one repository, made anew for every run."""
    name = ""
    variable = ""

    def __init__(self, program, work):
        self.program = program
        self.work = work
        self.home = os.path.join(work, f"{self.name}-home")
        self.repo = os.path.join(work, f"{self.name}-repository")
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith(("HOLDFAST", "RESTIC", "BORG"))}
        self.env["LC_ALL"] = "C.UTF-8"
        # BENCH_S3=URL/BUCKET: repositories lie there, each in a new place; old ones stay
        self.bucket = os.environ.get("BENCH_S3")
        self.repositories = 0

    def place(self):
        """Where the repository lies, as the program takes it."""
        if not self.bucket:
            return self.repo
        return f"s3:{self.bucket}/{self.name}-{os.getpid()}-{self.repositories}"

    def clear(self):
        for path in (self.home, self.repo):
            shutil.rmtree(path, ignore_errors=True)
        self.repositories += 1

    def begin(self):
        """An empty repository, not measured."""
        self.clear()
        os.mkdir(self.home, 0o700)
        with open(os.path.join(self.home, "pass"), "w", encoding="ascii") as f:
            f.write(PASSPHRASE + "\n")
        self.init()

    def repository_bytes(self):
        if not self.bucket:
            return tree_bytes(self.repo)
        tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../s3/s3.py")
        bucket, prefix = self.place().rsplit("/", 2)[1:]
        return int(output_of([sys.executable, tool, "--size", bucket, prefix + "/"], self.env))

    def index_bytes_per_record(self):
        return None  # only Holdfast tells


class Holdfast(Tool):
    name = "holdfast"
    variable = "HOLDFAST"

    def __init__(self, program, work):
        super().__init__(program, work)
        for what in ("CONFIG_DIR", "STATE_DIR", "CACHE_DIR"):
            self.env[f"HOLDFAST_{what}"] = os.path.join(self.home, what)
        self.read_bytes = 0  # of the first backup: all but holes
        self.env["HOLDFAST_PASSPHRASE_FILE"] = os.path.join(self.home, "pass")
        self.env["HOLDFAST_RECOVERY_FILE"] = os.path.join(self.home, "recovery")

    def version(self):
        return output_of([self.program, "version"], self.env).split("\n")[0]

    def init(self):
        self.env["HOLDFAST_VAULT"] = self.place()
        output_of([self.program, "init", "--recovery-file",
                   os.path.join(self.home, "recovery")], self.env)

    def backup(self, tree, reread=False):
        return [self.program, "backup", "--json", "--source", "bench"] \
            + (["--reread"] if reread else []) + [tree]

    def check_backup(self, text, files, size, reread):
        told = summary_of(text)
        claim(told["files"] == files and told["left_out"] == 0 and told["warnings"] == 0,
              f"backed up {told['files']} of {files} files, {told['left_out']} left out")
        if told["unchanged_files"] == 0:
            self.read_bytes = told["read_bytes"]
        claim(not reread or told["read_bytes"] >= self.read_bytes,
              f"read {told['read_bytes']} of {self.read_bytes} bytes again")
        claim(told["bytes"] == size, f"backed up {told['bytes']} of {size} bytes")

    def snapshots(self):
        told = json.loads(output_of([self.program, "snapshot", "list", "--json"], self.env))
        return len(told["snapshots"])

    def restore(self, target):
        return [self.program, "restore", "latest", "--json", "--no-sync", "--to", target], None

    def verify(self):
        return [self.program, "verify", "--data", "--json"]

    def check_verify(self, text):
        told = summary_of(text)
        claim(told["data"] and told["problems"] == 0 and told["files"] > 0,
              f"verify --data: {told}")

    def retain(self):
        """Commands that keep the newest snapshot only, or why there are none."""
        if not self.has_verbs("retention apply", "gc"):
            return None, "holdfast has no verbs for retention and collection"
        return ["sh", "-ec", '"$0" retention apply --keep-last 1 --min-keep 0s --approve bench\n'
                '"$0" gc --grace 0s', self.program], ""

    def has_verbs(self, *verbs):
        told = output_of([self.program, "help"], self.env)
        return all(f"\n  {verb} " in told for verb in verbs)

    def index_bytes_per_record(self):
        """What a known chunk takes in the mapped index; None where it is not told."""
        if not self.has_verbs("vault info"):
            return None
        told = json.loads(output_of([self.program, "vault", "info", "--json"], self.env))
        return told["index_memory"] / max(told["records"], 1)


class Restic(Tool):
    name = "restic"
    variable = "RESTIC"

    def __init__(self, program, work):
        super().__init__(program, work)
        self.env.update(RESTIC_PASSWORD_FILE=os.path.join(self.home, "pass"),
                        RESTIC_CACHE_DIR=os.path.join(self.home, "cache"))
        # before 0.15 a restore fills holes with zeros; it cannot be told otherwise
        self.can_sparse = "--sparse" in output_of([program, "restore", "--help"], self.env)

    def version(self):
        return output_of([self.program, "version"], self.env).strip()

    def init(self):
        self.env["RESTIC_REPOSITORY"] = self.place()
        output_of([self.program, "init"], self.env)

    def backup(self, tree, reread=False):
        return [self.program, "backup", "--quiet", "--json"] \
            + (["--force"] if reread else []) + [tree]

    def check_backup(self, text, files, size, reread):
        told = summary_of(text)
        claim(told["total_files_processed"] == files and told["total_bytes_processed"] == size,
              f"backed up {told['total_files_processed']} of {files} files, "
              f"{told['total_bytes_processed']} of {size} bytes")
        claim(not reread or told["files_unmodified"] == 0, "took files as unchanged unread")

    def snapshots(self):
        return len(json.loads(output_of([self.program, "snapshots", "--json"], self.env)))

    def restore(self, target):
        return [self.program, "restore", "latest", "--quiet", "--target", target] \
            + (["--sparse"] if self.can_sparse else []), None

    def verify(self):
        return [self.program, "check", "--read-data"]

    def check_verify(self, text):
        claim("no errors were found" in text, f"check --read-data: {text.strip()[-200:]}")

    def retain(self):
        return [self.program, "forget", "--quiet", "--keep-last", "1", "--prune"], ""


class Borg(Tool):
    name = "borg"
    variable = "BORG"

    def __init__(self, program, work):
        super().__init__(program, work)
        self.env.update(BORG_REPO=self.repo, BORG_PASSPHRASE=PASSPHRASE,
                        BORG_BASE_DIR=os.path.join(self.home, "base"))
        self.archives = 0

    def version(self):
        return output_of([self.program, "--version"], self.env).strip()

    def init(self):
        self.archives = 0
        output_of([self.program, "init", "--encryption", "repokey-blake2"], self.env)

    def backup(self, tree, reread=False):
        self.archives += 1
        return [self.program, "create", "--json"] \
            + (["--files-cache", "disabled"] if reread else []) + [f"::a{self.archives}", tree]

    def check_backup(self, text, files, size, reread):
        told = json.loads(text)["archive"]["stats"]
        claim(told["nfiles"] == files, f"backed up {told['nfiles']} of {files} files")
        claim(told["original_size"] >= size,
              f"backed up {told['original_size']} of {size} bytes")

    def snapshots(self):
        return len(json.loads(output_of([self.program, "list", "--json"], self.env))["archives"])

    def restore(self, target):
        return [self.program, "extract", "--sparse", f"::a{self.archives}"], target

    def verify(self):
        return [self.program, "check", "--verify-data"]

    def check_verify(self, text):
        pass  # silent; its exit status is the answer

    def retain(self):
        return ["sh", "-ec", '"$0" prune --keep-last 1; "$0" compact', self.program], ""


PEERS = (Restic, Borg)
