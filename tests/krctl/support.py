# SPDX-License-Identifier: MIT
"""What the tests of krctl share: TAP, pseudo-terminals, and krctl with or without a terminal."""
import fcntl
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import traceback
import tty

KRCTL = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "krctl"
PATIENCE = 60  # seconds for what has to happen; a loaded machine, or valgrind, takes its time

# A shell without job control starts background programs with these ignored, and they stay so.
for number in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM:
    signal.signal(number, signal.SIG_DFL)

cases = []


class Skip(Exception):
    """Raised by a case that cannot run here; it says what is missing."""


def case(name, needs=None):
    """Declares a test case; `needs` is a program without which it is skipped."""

    def declare(function):
        cases.append((name, function, needs))
        return function

    return declare


def main():
    failed = 0
    print(f"1..{len(cases)}", flush=True)
    for number, (name, function, needs) in enumerate(cases, 1):
        if needs is not None and shutil.which(needs) is None:
            print(f"ok {number} - {name} # SKIP {needs} is not installed", flush=True)
            continue
        result, comment = "ok", ""
        try:
            with tempfile.TemporaryDirectory() as folder:
                function(folder)
        except Skip as missing:
            comment = f" # SKIP {missing}"
        except Exception:
            result = "not ok"
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
        print(f"{result} {number} - {name}{comment}", flush=True)
    sys.exit(failed != 0)


def equal(value, expected):
    assert value == expected, f"\n  got      {value!r}\n  expected {expected!r}"


def contains(text, *parts):
    for part in parts:
        assert part in text, f"\n  no {part!r}\n  in {text!r}"


def until(condition):
    """Waits for a condition: its result."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError("timed out waiting")


class Port:
    """A pseudo-terminal: krctl opens its slave side, the test has the master side."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for name in "master", "slave":
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    def write(self, data):
        while data:
            select.select([], [self.master], [], PATIENCE)
            data = data[os.write(self.master, data) :]

    def read(self, condition):
        """Reads until the condition holds for all that was seen; returns it and starts anew."""
        end = time.monotonic() + PATIENCE
        while not condition(self.seen):
            if select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                    continue
                except OSError:
                    pass  # nobody has the other side open
            raise AssertionError(f"after {self.seen[-500:]!r} nothing more came")
        seen, self.seen = self.seen, b""
        return seen

    def expect(self, *parts):
        return self.read(lambda seen: all(part in seen for part in parts))

    def exactly(self, data):
        equal(self.read(lambda seen: len(seen) >= len(data)), data)

    def empty(self):
        assert not select.select([self.master], [], [], 0)[0], os.read(self.master, 65536)


class Result:
    def __init__(self, process, out, err, seconds):
        self.status = process.returncode
        self.out = out
        self.err = err.decode()
        self.seconds = seconds


def start(*arguments, **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([KRCTL, *map(str, arguments)], **options)


def end(process, expected=0, data=None, since=None):
    """Waits for the end of a krctl: its status has to be the expected one."""
    try:
        out, err = process.communicate(data, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"does not end; so far {out[-500:]!r} {err[-500:]!r}") from None
    result = Result(process, out, err or b"", time.monotonic() - since if since else 0)
    assert result.status == expected, (
        f"{process.args[1:]} ended with {result.status}, not {expected}\n"
        f"{out[-500:]!r}\n{result.err[-500:]}"
    )
    return result


def run(*arguments, expected=0, data=None):
    """krctl, to its end."""
    since = time.monotonic()
    stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
    return end(start(*arguments, stdin=stdin), expected, data, since)


class Terminal(Port):
    """krctl on a terminal of its own, which is what a user sits in front of."""

    def __init__(self, *words, environment=None, program=KRCTL, arguments=(), cwd=None):
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, b"\x18\0\x50\0\0\0\0\0")  # 24 x 80
        self.settings = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [program, *map(str, words), *arguments],
            cwd=cwd,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={"PATH": os.environ["PATH"], "TERM": "xterm"} | (environment or {}),
        )

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.close()

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.settings

    def ended(self, expected):
        """The end of krctl, with that status: what it printed last. The terminal is as it was."""
        until(lambda: self.process.poll() is not None)
        equal(self.process.returncode, expected)
        assert self.is_restored(), "the terminal is not as it was"
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536)
        seen, self.seen = self.seen, b""
        return seen


class Socat:
    """A pseudo-terminal whose other side is a socat address; it comes and goes with socat."""

    def __init__(self, link, address):
        self.process = subprocess.Popen(["socat", f"PTY,link={link},raw,echo=0", address])
        until(lambda: os.path.exists(link))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        self.process.wait()
