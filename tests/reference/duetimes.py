#!/usr/bin/env python3
"""Seeded calendar expressions against `systemd-analyze calendar`: normal form and due times.

  duetimes.py DUETIMES [SEED [COUNT]]      DUETIMES = build/*/tools/duetimes

Both must agree, but where docs/SCHEDULE.md says otherwise: a wall clock time that is left out is due
at the first time after it (systemd: on the next day that has it), and one that comes twice is due
the first time only.  There the expectation is computed here, by zoneinfo, minute by minute.
"""
import datetime
import random
import re
import subprocess
import sys
import zoneinfo

UTC = datetime.timezone.utc
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata",
         "America/St_Johns", "Pacific/Apia", "Europe/Dublin", "Africa/Casablanca",
         "Pacific/Chatham"]
BASES = ["2026-03-27 12:00", "2026-10-23 12:00", "2026-03-06 00:00", "2026-10-30 00:00",
         "2026-04-03 00:00", "2027-12-30 23:59", "2028-02-27 06:30", "2031-07-15 13:07"]
ITERATIONS = 8


def stepped(rng, low, high):
    """Systemd 252 adds a step past the part's end and so jumps over the first values of the next
    hour, day or month ("01/9:00" misses 01:00): only steps that lead back to at most the first."""
    while True:
        start = rng.randint(low, high)
        step = rng.randint(1, max(1, (high - low) // 2))
        ends = range(28, 32) if high == 31 else (high,)
        if all((start - low) % (end - low + 1) <= end and
               start + step * ((max(end - start, 0)) // step + 1) - end - 1 + low <= start
               for end in ends) and start + step <= high:
            return f"{start}/{step}"


def part(rng, low, high):
    kind = rng.randrange(7)
    a, b = sorted((rng.randint(low, high), rng.randint(low, high)))
    if kind < 3:
        return str(a)
    if kind == 3:
        return f"{a},{b}"
    if kind == 4 and a < b:
        return f"{a}..{b}"
    if kind == 5:
        return stepped(rng, low, high)
    return "*"


def expression(rng):
    words = []
    if rng.random() < 0.08:
        return rng.choice(["minutely", "hourly", "daily", "weekly", "monthly", "quarterly",
                           "semiannually", "yearly"])
    if rng.random() < 0.35:
        words.append(rng.choice(["Mon..Fri", "Sat,Sun", "Sun", "Mon,Wed..Fri", "tuesday", "Sat",
                                 "Mon..Sun", "Thu,Mon"]))
    if rng.random() < 0.6:
        month = "*" if rng.random() < 0.6 else part(rng, 1, 12)
        if rng.random() < 0.2:
            day, mark = rng.choice(["1", "2", "7/1", "1..3", "3", "28", "4..10/3"]), "~"
        else:
            day, mark = ("*" if rng.random() < 0.5 else part(rng, 1, 31)), "-"
        year = "*" if rng.random() < 0.9 else rng.choice(["2026", "2026..2030", "2028/4"])
        words.append((f"{year}-" if rng.random() < 0.8 or year != "*" else "") +
                     f"{month}{mark}{day}")
    if rng.random() < 0.8 or not words:
        time = rng.choice([part(rng, 0, 23), rng.choice(["1", "2", "2..3", "*"])])
        time += ":" + rng.choice([part(rng, 0, 59), "0/15", "30", "00"])
        if rng.random() < 0.3:
            time += ":" + part(rng, 0, 59)
        words.append(time)
    return " ".join(words)


def theirs(text, base):
    out = subprocess.run(["systemd-analyze", "calendar", f"--iterations={ITERATIONS}",
                          f"--base-time={base} UTC", text],
                         capture_output=True, text=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"})
    if out.returncode != 0:
        return None, None
    normal = re.search(r"Normalized form: (.*)", out.stdout)
    times = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ ([0-9-]+ [0-9:]+) UTC", out.stdout)
    stamps = [int(datetime.datetime.strptime(t, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
                  .timestamp()) for t in times]
    return (normal.group(1) if normal else text), stamps


def local_times(text, zone, base):
    """The wall clock times of the same expression, from systemd in UTC, mapped by the rule."""
    tz = zoneinfo.ZoneInfo(zone)
    local = datetime.datetime.fromtimestamp(base, tz).replace(tzinfo=None)
    found = []
    start = local - datetime.timedelta(minutes=1)
    _, walls = theirs_wall(text, start)
    for wall in walls:
        # the first moment whose wall clock shows this or, when it is left out, a later time
        naive = datetime.datetime.fromtimestamp(wall, UTC).replace(tzinfo=None)
        first = naive.replace(tzinfo=tz, fold=0)
        back = first.astimezone(UTC).astimezone(tz).replace(tzinfo=None)
        moment = int(first.timestamp())
        if back != naive:  # left out: the moment of the change
            low, high = moment - 2 * 86400, moment + 2 * 86400
            while low < high:
                mid = (low + high) // 2
                if datetime.datetime.fromtimestamp(mid, tz).replace(tzinfo=None) >= naive:
                    high = mid
                else:
                    low = mid + 1
            moment = low
        if moment > base and moment not in found:
            found.append(moment)
    return sorted(found)


def theirs_wall(text, start):
    out = subprocess.run(["systemd-analyze", "calendar", "--iterations=400",
                          f"--base-time={start:%Y-%m-%d %H:%M:%S} UTC", text + " UTC"],
                         capture_output=True, text=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"})
    times = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ ([0-9-]+ [0-9:]+) UTC", out.stdout)
    return None, [int(datetime.datetime.strptime(t, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
                      .timestamp()) for t in times]


def main():
    tool = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261126
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 400
    rng = random.Random(seed)
    cases = []
    for _ in range(count):
        cases.append((expression(rng), rng.choice(ZONES), rng.choice(BASES)))
    lines = []
    for text, zone, base in cases:
        at = int(datetime.datetime.strptime(base, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp())
        lines.append(f"{at} {ITERATIONS} {zone} {text}")
    answers = subprocess.run([tool], input="\n".join(lines) + "\n", capture_output=True, text=True,
                             check=True).stdout.splitlines()
    same = by_rule = bad = refused = 0
    for (text, zone, base), line, answer in zip(cases, lines, answers):
        normal, stamps = theirs(f"{text} {zone}", base)
        if answer.startswith("error:"):
            if stamps:
                bad += 1
                print(f"'{text}' {zone}: refused ({answer}), but systemd has {stamps}")
            refused += 1
            continue
        ours_normal, _, rest = answer.partition("\t")
        if "!" in rest or normal is None:
            bad += 1
            print(f"'{text}' {zone}: looking back differs or systemd refuses: {answer}")
            continue
        ours = [int(t) for t in rest.split()]
        if ours == stamps and ours_normal == normal:
            same += 1
        elif ours_normal == normal and ours == local_times(text, zone,
                                                           int(line.split()[0]))[:ITERATIONS]:
            by_rule += 1
        else:
            bad += 1
            print(f"'{text}' {zone} from {base}: ours {ours_normal} {ours}\n"
                  f"   systemd {normal} {stamps}")
    print(f"calendar: {same} as systemd, {by_rule} by the rule for changes of the clock, "
          f"{refused} refused by both, {bad} wrong")
    sys.exit(1 if bad or same < count / 2 else 0)


main()
