"""What was measured, as one table, and beside the limits that Holdfast must reach (docs/BENCH.md).
Pure functions of the measurements: { (scenario, tool): [one dict a run] }.
"""
from statistics import median

MIB = 1024.0
ALL = "better peer"

TITLES = {
    "full": "first full backup", "nochange": "nothing changed", "reread": "forced re-read",
    "day2": "day 2", "restore": "restore, verified", "verify": "verify all data",
    "retain": "retention, collection", "small-full": "small files, first",
    "small-nochange": "small files, unchanged", "small-restore": "small files, restore",
    "zstd": "zstd there and back",
}

# (scenario, measure, beside whom, the most it may be as a ratio)
LIMITS = (
    ("full", "wall_s", "restic", 0.36), ("full", "wall_s", "borg", 0.60),
    ("full", "cpu_s", "restic", 0.38), ("full", "cpu_s", "borg", 1.05),
    ("full", "repo", "restic", 0.93),
    ("nochange", "wall_s", ALL, 0.25),
    ("reread", "wall_s", ALL, 0.45), ("reread", "cpu_s", ALL, 0.42),
    ("day2", "wall_s", ALL, 0.45), ("day2", "growth", "restic", 1.05),
    ("restore", "wall_s", ALL, 0.60), ("restore", "cpu_s", ALL, 0.75),
    ("verify", "wall_s", ALL, 0.50),
    ("retain", "wall_s", ALL, 0.50),
    ("small-full", "wall_s", "restic", 0.30), ("small-full", "cpu_s", "restic", 0.30),
    ("small-nochange", "wall_s", "restic", 0.15), ("small-nochange", "cpu_s", "restic", 0.15),
    ("small-restore", "wall_s", "restic", 0.50), ("small-restore", "cpu_s", "restic", 0.50),
    ("full", "cpu_s", "zstd", 1.80),
)
# (scenarios, measure, the most it may be, unit); what needs a passphrase spends memory on it
BOUNDS = (
    (("nochange",), "cpu_us_per_file", 10, "us a file"),
    (("full", "nochange", "reread", "day2"), "anon_mib", 64, "MiB"),
    (("small-full", "small-nochange"), "rss_mib", 96, "MiB"),
    (("day2",), "index_bytes", 48, "bytes a record"),
)
# With repositories in an object store: at least restic's throughput, at less CPU.
S3_LIMITS = tuple((scenario, measure, "restic", 1.0)
                  for scenario in ("full", "nochange", "restore", "verify")
                  for measure in ("wall_s", "cpu_s"))
S3_BOUNDS = ()
NAMES = {"wall_s": "wall", "cpu_s": "CPU", "repo": "repository", "growth": "growth",
         "cpu_us_per_file": "CPU", "anon_mib": "peak anonymous memory", "rss_mib": "peak RSS",
         "index_bytes": "index memory"}


def values(results, scenario, tool, measure):
    return [run[measure] for run in results.get((scenario, tool), []) if measure in run]


def compare(results, scenario, measure, peer):
    """Median of the ratios of paired runs, and their least and most; None when there are none."""
    own = results.get((scenario, "holdfast"), [])
    other = results.get(("zstd" if peer == "zstd" else scenario, peer), [])
    by_run = {run["run"]: run for run in other if run.get(measure)}
    ratios = [run[measure] / by_run[run["run"]][measure]
              for run in own if measure in run and run["run"] in by_run]
    return (median(ratios), min(ratios), max(ratios)) if ratios else None


def better_peer(results, scenario, measure, peers):
    found = [(median(values(results, scenario, peer, measure)), peer)
             for peer in peers if values(results, scenario, peer, measure)]
    return min(found)[1] if found else None


def limit_lines(results, peers, failed, limits, bounds):
    lines = []
    for scenario, measure, beside, most in limits:
        if not peers and beside != "zstd":
            continue  # nobody was asked for
        peer = better_peer(results, scenario, measure, peers) if beside == ALL else beside
        name = f"{TITLES[scenario]}: {NAMES[measure]}"
        needs = {(scenario, "holdfast"), ("zstd" if peer == "zstd" else scenario, peer)}
        needs |= {(scenario, one) for one in peers if beside == ALL}
        if needs & failed:
            lines.append((name, f"<= {most:.2f} x {beside}", "", "FAILED"))
            continue
        ratio = compare(results, scenario, measure, peer) if peer else None
        if ratio is None:
            lines.append((name, f"<= {most:.2f} x {beside}", "", "not measured"))
            continue
        told = f"{ratio[0]:.2f} x {peer} ({ratio[1]:.2f} to {ratio[2]:.2f})"
        lines.append((name, f"<= {most:.2f} x {beside}", told,
                      "reached" if ratio[0] <= most else "not reached"))
    for scenarios, measure, most, unit in bounds:
        name = f"{', '.join(TITLES[one] for one in scenarios)}: {NAMES[measure]}"
        found = [median(values(results, one, "holdfast", measure)) for one in scenarios
                 if values(results, one, "holdfast", measure)]
        if failed & {(one, "holdfast") for one in scenarios}:
            lines.append((name, f"<= {most} {unit}", "", "FAILED"))
        elif not found:
            lines.append((name, f"<= {most} {unit}", "", "not measured"))
        else:
            lines.append((name, f"<= {most} {unit}", f"{max(found):.1f} {unit}",
                          "reached" if max(found) <= most else "not reached"))
    return lines


def columns(rows, right):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                      for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
            for row in rows]


def measured_lines(results, order, failed):
    rows = [("scenario", "tool", "wall s", "on disk s", "CPU s", "RSS MiB", "anon MiB",
             "repository", "growth", "runs")]
    seen = {scenario for scenario, _ in list(results) + list(failed)}
    for scenario in (one for one in TITLES if one in seen):
        for tool in order:
            runs = results.get((scenario, tool), [])
            if (scenario, tool) in failed:
                rows.append((TITLES[scenario], tool, "FAILED", "", "", "", "", "", "",
                             str(len(runs))))
                continue
            if not runs:
                continue

            def middle(measure, form, scenario=scenario, tool=tool):
                found = values(results, scenario, tool, measure)
                return format(median(found), form) if found else ""
            rows.append((TITLES[scenario], tool, middle("wall_s", ".2f"),
                         middle("disk_s", ".2f"), middle("cpu_s", ".2f"),
                         middle("rss_mib", ".0f"), middle("anon_mib", ".0f"),
                         middle("repo", ",.0f"), middle("growth", ",.0f"), str(len(runs))))
    return columns(rows, range(2, 10))


def table(results, order, failed, notes, of=LIMITS, bounds=BOUNDS):
    peers = [tool for tool in order if tool not in ("holdfast", "zstd")]
    lines = ["", "Medians:"] + measured_lines(results, order, failed)
    limits = limit_lines(results, peers, failed, of, bounds)
    lines += ["", "Limits (median of the ratios of paired runs, least to most):"]
    lines += columns([("what", "limit", "measured", "")] + limits, ())
    lines += [""] * bool(notes) + [f"note: {note}" for note in notes]
    return "\n".join(lines)
