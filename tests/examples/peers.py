# SPDX-License-Identifier: MIT
"""What the drivers in this folder share: TAP, terminals, and waiting for conditions, not times."""
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import tty

PATIENCE = 60.0  # seconds, for a loaded machine and slow builds


class Skip(Exception):
    """What this machine does not have."""


def need(program):
    path = shutil.which(program)
    if not path:
        raise Skip(f"{program} is not installed")
    return path


def check(ok, what):
    if not ok:
        raise AssertionError(what)


def equal(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what}: {got!r}, expected {expected!r}")


def wait_for(condition, what, patience=PATIENCE):
    """Waits until condition() is true, and returns what it gave."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited in vain: " + what)
        time.sleep(0.01)


started = []


def start(arguments, **options):
    """A process that does not outlive its case: a bridge would go on reading reused terminals."""
    process = subprocess.Popen(arguments, **options)
    started.append(process)
    return process


def end_all():
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
    started.clear()


def run(cases):
    """Runs functions that take a folder of their own, reports in TAP, and ends the program."""
    failed = 0
    print(f"1..{len(cases)}")
    for number, case in enumerate(cases, 1):
        name = (case.__doc__ or case.__name__).strip().rstrip(".")
        folder = tempfile.mkdtemp(prefix="kr-")
        try:
            case(folder)
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
        finally:
            end_all()
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


class Terminal:
    """A pseudo-terminal in raw mode. `link` is a name that survives it, as /dev/serial/by-id/ does."""

    def __init__(self, link=None):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.name = os.ttyname(self.slave)
        self.link = link
        if link:
            os.symlink(self.name, link + ".new")
            os.rename(link + ".new", link)

    def let_go(self):
        """From here on only those who have opened its name hold the slave."""
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def close(self):
        self.let_go()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


class Line(threading.Thread):
    """A line between two descriptors, each way through a function that may change the bytes."""

    def __init__(self, a, b, a_to_b=lambda data: data, b_to_a=lambda data: data):
        super().__init__(daemon=True)
        self.ends = {a: (b, a_to_b), b: (a, b_to_a)}
        self.wake_read, self.wake_write = os.pipe()
        self.start()

    def run(self):
        while True:
            ready, _, _ = select.select([*self.ends, self.wake_read], [], [])
            if self.wake_read in ready:
                return
            for fd in ready:
                try:
                    data = os.read(fd, 4096)
                except OSError:  # nobody has the other side open
                    time.sleep(0.01)
                    continue
                to, change = self.ends[fd]
                data = change(data)
                while data:
                    try:
                        data = data[os.write(to, data):]
                    except OSError:
                        break

    def close(self):
        os.write(self.wake_write, b"x")
        self.join()
        os.close(self.wake_read)
        os.close(self.wake_write)
