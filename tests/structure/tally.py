#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts test cases, not programs, in the log of one `meson test` run.

Prints what failed, with its output, and what was skipped, with the reason; writes the three sums,
"PASSED FAILED SKIPPED", to a file.

usage: tally.py TESTLOG.JSON SUMS-FILE
"""
import json
import re
import sys

# Lines of TAP: "ok 3 - name", "not ok 4 - name", "ok 5 - name # SKIP reason", "1..0 # SKIP reason".
CASE = re.compile(r"^(not )?ok\b[ \d]*-? *(.*?)(?: *# *SKIP\b *(.*))?$", re.I)
NOTHING = re.compile(r"^1\.\.0 *# *SKIP\b *(.*)$", re.I)
BAD_PROGRAM = {"ERROR", "FAIL", "TIMEOUT", "INTERRUPT"}
# Of a long output: what the program and the tools around it say in one line.
VERDICT = re.compile(r"^not ok|^# |^SUMMARY|WARNING: Thread|ERROR: |runtime error:|rule broken|^==")
OUTPUT_LINES = 60


def tally(entry):
    """(passed, names that failed, [(name, reason)] skipped) of one program; one that speaks no TAP
    is one case."""
    passed, failed, skipped = 0, [], []
    for line in entry.get("stdout", "").splitlines():
        if nothing := NOTHING.match(line):
            skipped.append((entry["name"], nothing[1]))
        elif case := CASE.match(line):
            if case[1]:
                failed.append(case[2])
            elif case[3] is not None:
                skipped.append((case[2], case[3]))
            else:
                passed += 1
    if entry["result"] in BAD_PROGRAM and not failed:
        failed.append(f"{entry['result'].lower()}, exit status {entry['returncode']}")
    if entry["result"] == "OK" and not passed and not skipped:
        passed = 1
    if entry["result"] == "SKIP" and not skipped:
        skipped.append((entry["name"], "the program said so"))
    return passed, failed, skipped


def show_failure(entry, failed, log):
    for name in failed:
        print(f"  FAILED {entry['name']}: {name}")
    lines = [line for line in entry.get("stdout", "").splitlines() if not line.startswith("ok ")]
    lines += entry.get("stderr", "").splitlines()
    if len(lines) > OUTPUT_LINES:
        lines = [line for line in lines if VERDICT.search(line)][:OUTPUT_LINES]
        lines.append(f"(more in {log})")
    for line in lines:
        print("    " + line)


def show_skips(entry, skipped):
    by_reason = {}
    for name, reason in skipped:
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        what = names[0] if len(names) == 1 else f"{len(names)} cases"
        print(f"  skipped {entry['name']}: {what}: {reason}")


def main():
    sums = [0, 0, 0]
    with open(sys.argv[1], encoding="utf-8") as log:
        entries = [json.loads(line) for line in log]
    for entry in entries:
        passed, failed, skipped = tally(entry)
        sums = [a + b for a, b in zip(sums, (passed, len(failed), len(skipped)))]
        if failed:
            show_failure(entry, failed, sys.argv[1].replace(".json", ".txt"))
        show_skips(entry, skipped)
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        print(*sums, file=out)


if __name__ == "__main__":
    main()
