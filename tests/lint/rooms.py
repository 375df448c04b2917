#!/usr/bin/env python3
"""The checker of the house (docs/STYLE.md, docs/ARCHITECTURE.md).

  rooms.py includes            an include goes to the own room or a strictly lower floor
  rooms.py names LIB           a global of X.o is X, X_* (longest file stem wins)
  rooms.py stems               file stems are unique in the tree
  rooms.py docs                every source file has its line in docs/rooms/
  rooms.py tests               every source file has a unit test of its stem, or is in UNTESTED

Prints each finding as FILE:LINE: TEXT; the exit status says whether there was one.
"""
import os
import re
import subprocess
import sys

# The floors: a room may include only from a room on a strictly lower floor, or its own.
FLOORS = {
    "base": 0,
    "codec": 1, "crypto": 1,
    "net": 2, "conf": 2,
    "store": 3,
    "vault": 4, "db": 4, "tlog": 4,
    "msg": 5, "plans": 5,
    "restore": 6, "mount": 6,
    "agents": 7, "controller": 7,
    "web": 8,
    "cmd": 9,
}
# A driver stands on its room's contract: half a floor above it, strange to its siblings.
DRIVERS = {"store/local": 3.5, "store/mem": 3.5, "store/fault": 3.5, "store/s3": 3.5, "store/unix": 3.5,
           "agents/sources": 7.5}
TOPS = ("src", "agents", "plans", "restore")
# Tested through others so far, or by tests/e2e alone.  Nothing is added here: a new file brings its
# test, and a name goes when its test comes.
UNTESTED = {
    "agents": "agent_backup agent_link backup_commit demo_batch demo_file "
              "demo_historian demo_pdf demo_plc demo_postgres demo_signal demo_writer "
              "file_cache_form file_cache_index file_cache_places",
    "agents/sources": "dir_stack gentle_open name_glob name_list owner_names pg_conn "
                      "postgres_dir postgres_truth root_list",
    "base": "atomic_file buf env escape fdio human log",
    "cmd": "backup_source cli_help cli_options cmd_agent cmd_backup cmd_controller "
           "cmd_copy cmd_demo cmd_diff cmd_drill cmd_dump cmd_find cmd_gc cmd_help cmd_init "
           "cmd_job cmd_key cmd_ls cmd_maintenance cmd_mount cmd_officer cmd_parity cmd_people "
           "cmd_plan cmd_repair cmd_report cmd_restore cmd_retention cmd_snapshot cmd_vault cmd_vault_serve "
           "cmd_verify console content_stream demo_crew demo_enrol demo_home demo_jobs "
           "demo_local demo_net demo_plan demo_stage demo_verb drivers entry_show "
           "filter_options holdfast holdfast_agent holdfast_verify paths progress "
           "retention_rules snapshot_show tar_out view",
    "codec": "truth_json",
    "conf": "conf_tell",
    "controller": "agent_routes agent_routes_vault controller drill_desk_check "
                  "drill_desk_files drill_desk_report fleet_revoke gateway_vault",
    "crypto": "cryptolib",
    "net": "http_flight http_request http_tls",
    "restore": "check_hash_manifest check_open_record check_xml drill_cleanup drill_isolation "
               "drill_select report_form report_sections report_style report_summary "
               "restore_place sandbox_init sandbox_left sandbox_wire service_postgres "
               "snapshot_files tree_walk",
    "store/local": "local_dirs local_tree",
    # by test_s3_wire, test_store_s3 and test_s3_cred, against a server that plays tricks
    "store/s3": "s3_caps s3_cred_file s3_cred_http s3_cred_process s3_flight s3_prove s3_put "
                "s3_remove s3_versions",
    "vault": "collect_begin collect_end copy_chain copy_keys entry_codec entry_decode "
             "entry_spill epoch fetch id_set node_codec session_check session_copy "
             "session_mark snapshot vault_config verify_content "
             "verify_objects",
    "web": "api api_agents api_drills api_jobs api_people", # one file until it was parted
}


def files():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *TOPS],
                         capture_output=True, text=True, check=True).stdout.split("\n")
    return [f for f in out if f.endswith((".c", ".h")) and os.path.exists(f)]


def room_of(path):
    folder = os.path.dirname(path)
    if folder.startswith("src/"):
        folder = folder[len("src/"):]
    return folder


def floor_of(room):
    return DRIVERS.get(room, FLOORS.get(room))


def check_includes():
    bad = []
    for path in files():
        own = room_of(path)
        if floor_of(own) is None:
            bad.append(f"{path}:1: room '{own}' stands on no floor (tests/lint/rooms.py)")
            continue
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                if not m:
                    continue
                target = m.group(1)
                other = os.path.dirname(target)
                if floor_of(other) is None:
                    bad.append(f"{path}:{number}: include \"{target}\" names no room")
                elif other != own and floor_of(other) >= floor_of(own):
                    bad.append(f"{path}:{number}: room {own} (floor {floor_of(own)}) includes "
                               f"{target} (floor {floor_of(other)}): only strictly lower floors")
                elif other != own and target.endswith("_internal.h"):
                    bad.append(f"{path}:{number}: {target} is internal to its room")
    return bad


def check_stems():
    seen, bad = {}, []
    for path in files():
        stem = os.path.splitext(os.path.basename(path))[0]
        folder = os.path.dirname(path)
        if stem in seen and seen[stem] != folder:
            bad.append(f"{path}:1: the stem '{stem}' is taken by {seen[stem]}")
        seen.setdefault(stem, folder)
    return bad


def check_names(lib):
    stems = {os.path.splitext(os.path.basename(p))[0] for p in files()}
    bad = []
    out = subprocess.run(["nm", "-A", "-g", "--defined-only", lib], capture_output=True,
                         text=True, check=True).stdout
    for line in out.splitlines():
        m = re.match(r".*:([^:]+)\.o:\S* ?\S* (\w) (\S+)$", line)
        if not m:
            continue
        stem, _, name = m.groups()
        if name == "main" or name.startswith(("__asan", "__odr_asan")):
            continue
        owners = [s for s in stems if name == s or name.startswith(s + "_")]
        owner = max(owners, key=len, default=None)
        internal = name == stem or name.startswith(stem + "_")
        if not internal or owner != stem:
            bad.append(f"{stem}.c:1: global '{name}' belongs to "
                       f"{owner + '.c' if owner else 'no file'}")
    return bad


def check_tests():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "tests/unit",
                          "tests/contract"], capture_output=True, text=True, check=True).stdout
    tested = {m.group(1) for m in re.finditer(r"/test_([a-z0-9_]+)\.c$", out, re.M)}
    bad = []
    for path in files():
        stem = os.path.splitext(os.path.basename(path))[0]
        room = room_of(path)
        if path.endswith(".c") and stem not in tested and \
                stem not in UNTESTED.get(room, "").split():
            bad.append(f"{path}:1: there is no tests/unit/{room}/test_{stem}.c")
    return bad


def check_docs():
    told = ""
    for name in sorted(os.listdir("docs/rooms")):
        with open(os.path.join("docs/rooms", name), encoding="utf-8") as f:
            told += f.read()
    bad = []
    for path in files():
        stem = os.path.splitext(os.path.basename(path))[0]
        if path.endswith(".c") and not re.search(rf"\b{re.escape(stem)}\b", told):
            bad.append(f"{path}:1: no line about '{stem}' in docs/rooms/")
    return bad


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "includes":
        bad = check_includes()
    elif what == "stems":
        bad = check_stems()
    elif what == "names" and len(sys.argv) == 3:
        bad = check_names(sys.argv[2])
    elif what == "docs":
        bad = check_docs()
    elif what == "tests":
        bad = check_tests()
    else:
        sys.exit(__doc__)
    for line in bad:
        print(line)
    sys.exit(1 if bad else 0)


main()
