#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles and runs every program that the documentation shows, and reports each as a TAP case.

A program is a literal block of the EXAMPLES section of a man page, of any section of the tutorial,
or a fenced C block of the README, that defines main. It must compile without a warning, end within
the time limit and exit with 0. What kroutine-drivers(7) shows of the driver edu and of those of
examples/drivers, and the tutorial of sensord, must be in their sources, which the build compiles. The
SYNOPSIS of each page of section 3 must compile too, beside the headers: that finds every prototype
that has drifted.

usage: programs.py COMPILER OUTPUT-FOLDER LINK-FLAG...
"""
import concurrent.futures
import html.parser
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIME_LIMIT = 30
TUTORIAL = "kroutine-tutorial.7"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


class Page(html.parser.HTMLParser):
    """A man page as mandoc renders it: text and literal blocks of each section."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.sections = {}
        self.literals = {}
        self.title = None
        self.heading = None
        self.literal = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "h1":
            self.heading = ""
        elif tag == "pre":
            self.literal = ""
        elif tag == "br" and self.title:
            self.sections[self.title] += "\n"

    def handle_endtag(self, tag):
        if tag == "h1":
            self.title, self.heading = " ".join(self.heading.split()), None
            self.sections[self.title] = ""
        elif tag == "pre":
            self.literals.setdefault(self.title, []).append(self.literal)
            self.literal = None

    def handle_data(self, data):
        if self.heading is not None:
            self.heading += data
            return
        if self.literal is not None:
            self.literal += data
        elif self.title:
            self.sections[self.title] += data


def rendered(path):
    done = subprocess.run(["mandoc", "-T", "html", str(path)], check=True, capture_output=True,
                          text=True, encoding="utf-8")
    return Page(done.stdout)


def defines_main(code):
    return re.search(r"^(int\s+)?main\s*\(", code, re.M) is not None


def man_cases():
    """Yields (name, source, is it a program?)."""
    for path in sorted((ROOT / "man").glob("*.[137]")):
        text = path.read_text(encoding="utf-8")
        if text.startswith(".so ") or re.search(r"^\.so ", text, re.M):
            continue  # an alias
        page = rendered(path)
        literals = page.literals.get("EXAMPLES", [])
        if path.name == TUTORIAL:
            literals = [code for section in page.literals.values() for code in section]
        for index, code in enumerate(filter(defines_main, literals)):
            yield f"{path.name} program {index + 1}", code, True
        synopsis = page.sections.get("SYNOPSIS", "")
        if path.suffix == ".3":
            yield f"{path.name} synopsis", synopsis_source(synopsis), False


# A return type, the name of a function, its arguments.
PROTOTYPE = re.compile(r"(?:(?:const|struct|enum|unsigned) )*[a-z_]\w* \**[a-z]\w*\(.*\)")


def synopsis_source(text):
    """The includes and prototypes; macros are shown there by example, and left out."""
    text = re.sub(r"\s+", " ", text)
    lines = re.findall(r"#include <[^>]+>", text)
    for statement in re.sub(r"#include <[^>]+>", ";", text).split(";"):
        if prototype := PROTOTYPE.search(statement):
            lines.append(prototype[0] + ";")
    return "\n".join(lines) + "\n"


def readme_cases():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```c\n(.*?)^```", text, re.M | re.S)
    for index, code in enumerate(filter(defines_main, blocks)):
        yield f"README.md program {index + 1}", code, True


def excerpts():
    """Yields (page, folder of what it is from, code) of what is shown of sources."""
    drivers = rendered(ROOT / "man" / "kroutine-drivers.7").literals
    for section, folder in ("DRIVERS OF HARDWARE", "backends/edu"), \
                           ("A DRIVER ON TOP OF ANOTHER", "examples/drivers"):
        for code in drivers[section]:
            yield "kroutine-drivers.7", folder, code
    for section in rendered(ROOT / "man" / TUTORIAL).literals.values():
        for code in section:
            # Commands of a shell and paths are no C; settings of the unit are its own.
            if not defines_main(code) and re.search(r"[;{}]$|^Type=", code, re.M):
                yield TUTORIAL, "examples/sensord", code


def excerpt_cases():
    """Yields (name, None or what went wrong) of code that is shown from sources."""
    for index, (page, folder, code) in enumerate(excerpts()):
        known = [" ".join(path.read_text(encoding="utf-8").split())
                 for path in sorted((ROOT / folder).iterdir()) if path.is_file()]
        here = any(" ".join(code.split()) in text for text in known)
        problem = None if here else f"not in {folder} any more:\n" + code
        yield f"{page} excerpt {index + 1}", problem


def run_case(case, compiler, folder, link):
    """Returns (name, None or what went wrong)."""
    name, code, is_program = case
    base = folder / re.sub(r"[^A-Za-z0-9]+", "-", name)
    source = base.with_suffix(".c")
    source.write_text(code, encoding="utf-8")
    command = compiler + ["-std=gnu11", *WARNINGS, f"-I{ROOT}/include", str(source)]
    command += ["-o", str(base), *link] if is_program else ["-fsyntax-only"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return name, "$ " + shlex.join(command) + "\n" + done.stderr
    if not is_program:
        return name, None
    try:
        done = subprocess.run([str(base)], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TIME_LIMIT, cwd=folder)
    except subprocess.TimeoutExpired:
        return name, f"still running after {TIME_LIMIT} seconds"
    if done.returncode != 0:
        output = (done.stdout + done.stderr).decode(errors="replace")
        return name, f"exit status {done.returncode}\n{output}"
    return name, None


def main():
    compiler = shlex.split(sys.argv[1])
    folder = pathlib.Path(sys.argv[2])
    link = sys.argv[3:] + ["-pthread"]
    folder.mkdir(parents=True, exist_ok=True)
    cases = list(readme_cases()) + list(man_cases())
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda case: run_case(case, compiler, folder, link), cases))
        results += excerpt_cases()
        for number, (name, problem) in enumerate(results, 1):
            print(f"{'not ok' if problem else 'ok'} {number} - {name}")
            if problem:
                failed += 1
                print("\n".join("# " + line for line in problem.splitlines()))
    print(f"1..{len(results)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
