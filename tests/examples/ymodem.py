# SPDX-License-Identifier: MIT
"""ymodem-receive, against sz of lrzsz. usage: ymodem.py PROGRAM"""
import os
import random
import subprocess
import sys

from peers import PATIENCE, Line, Terminal, check, equal, need, run, start, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
SOH, STX, ACK, NAK, CAN = 1, 2, 6, 0x15, 0x18


def make(folder, name, size, mtime=1234567890):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(random.Random(size).randbytes(size))
    os.utime(path, (mtime, mtime))
    return path


def content(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


class Transfer:
    """sz at one end of a line and ymodem-receive at the other."""

    def __init__(self, folder, files, options=(), sz=(), forth=None, back=None, stderr=None):
        self.out = os.path.join(folder, "out")
        os.makedirs(self.out, exist_ok=True)
        self.near, self.far = Terminal(), Terminal()
        same = lambda data: data
        self.line = Line(self.far.master, self.near.master, forth or same, back or same)
        self.log = os.path.join(folder, "stderr")
        with open(self.log, "wb") as log:
            self.receiver = start(
                [PROGRAM, "-d", self.out, *options, self.near.name],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr or log)
        self.sender = start(
            [need("sz"), "-q", "--ymodem", "-b", *sz, *files], cwd=folder,
            stdin=self.far.slave, stdout=self.far.slave, stderr=subprocess.DEVNULL)

    def end(self):
        """(status of the receiver, of the sender), what it printed."""
        try:
            printed = self.receiver.communicate(timeout=PATIENCE)[0].decode()
            sent = self.sender.wait(timeout=PATIENCE)
        finally:
            for process in self.receiver, self.sender:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            self.line.close()
            self.near.close()
            self.far.close()
        return self.receiver.returncode, sent, printed


def megabyte(folder):
    """One megabyte arrives byte by byte as it was sent, with its time."""
    path = make(folder, "mega.bin", 1 << 20)
    transfer = Transfer(folder, [path], sz=["-k"])
    equal(transfer.end(), (0, 0, "mega.bin 1048576\n"), "result")
    check(content(transfer.out, "mega.bin") == content(path), "the content differs")
    equal(os.stat(os.path.join(transfer.out, "mega.bin")).st_mtime, 1234567890, "mtime")
    equal(os.listdir(transfer.out), ["mega.bin"], "files")
    equal(content(transfer.log), b"", "standard error, which is no terminal")


def batch(folder):
    """A batch of odd sizes, in blocks of 128 and of 1024 bytes."""
    sizes = [0, 1, 127, 128, 129, 1023, 1024, 1025, 40000]
    files = [make(folder, f"f{size}", size, 1000000000 + size) for size in sizes]
    for options, start in ([], SOH), (["-k"], STX):
        starts = set()
        transfer = Transfer(folder, files, ["-o"], options,
                            forth=lambda data, starts=starts: starts.add(data[0]) or data)
        status = transfer.end()
        equal(status, (0, 0, "".join(f"f{size} {size}\n" for size in sizes)), "result")
        check(start in starts, f"the sender used no block of the kind {start}")
        for size, path in zip(sizes, files):
            copy = os.path.join(transfer.out, f"f{size}")
            check(content(copy) == content(path), f"f{size} differs")
            equal(os.stat(copy).st_mtime, 1000000000 + size, "mtime")
            os.unlink(copy)


def noise(folder):
    """Changed and lost bytes: the block is sent again."""
    path = make(folder, "noisy", 30000)
    seen = [0]

    def spoil(data):
        data, start = bytearray(data), seen[0]
        seen[0] += len(data)
        for at in 500, 5000, 12345:
            if start <= at < seen[0]:
                data[at - start] ^= 0x40
        if start <= 20000 < seen[0]:
            del data[20000 - start]
        return bytes(data)

    asked = []
    transfer = Transfer(folder, [path], forth=spoil, back=lambda data: asked.append(data) or data)
    equal(transfer.end(), (0, 0, "noisy 30000\n"), "result")
    check(content(transfer.out, "noisy") == content(path), "the content differs")
    check(seen[0] > 32000, "nothing was sent again")
    check(bytes([NAK]) in b"".join(asked), "nothing was asked for again")


def lost_answer(folder):
    """An answer is lost on the line: the block comes twice and is used once."""
    path = make(folder, "twice", 20000)
    acks = [0]

    def lose(data):
        out = bytearray()
        for byte in data:
            acks[0] += byte == ACK
            out.append(NAK if byte == ACK and acks[0] in (5, 9) else byte)
        return bytes(out)

    transfer = Transfer(folder, [path], back=lose)
    equal(transfer.end(), (0, 0, "twice 20000\n"), "result")
    check(content(transfer.out, "twice") == content(path), "the content differs")


def sender_gives_up(folder):
    """The sender gives up: an error, and nothing is left."""
    path = make(folder, "half", 1 << 20)
    seen = [0]
    held = []

    def hold(data):
        seen[0] += len(data)
        if seen[0] > 50000:
            held.append(data)
            return b""
        return data

    transfer = Transfer(folder, [path], forth=hold)
    wait_for(lambda: held, "the first half")
    transfer.sender.kill()  # and say ourselves what sz says when it is interrupted
    transfer.sender.wait()
    os.write(transfer.near.master, bytes([CAN]) * 8 + b"\b" * 8)
    status = transfer.end()
    equal(status[0], 1, "status of the receiver")
    equal(os.listdir(transfer.out), [], "files")
    check(b"cancelled by the sender" in content(transfer.log), content(transfer.log))


def receiver_stops(folder):
    """SIGTERM in the middle: the sender is told, and nothing is left."""
    path = make(folder, "half", 1 << 20)
    seen = [0]

    def hold(data):
        seen[0] += len(data)
        return data if seen[0] < 50000 else b""

    transfer = Transfer(folder, [path], forth=hold)
    wait_for(lambda: seen[0] > 50000, "the first half")
    check(os.listdir(transfer.out), "there is no file under way")
    transfer.receiver.terminate()
    status = transfer.end()
    equal(status[0], 1, "status of the receiver")
    check(status[1] != 0, "the sender was not told")
    equal(os.listdir(transfer.out), [], "files")


def no_way_out(folder):
    """A path in the name does not lead out of the folder."""
    os.mkdir(os.path.join(folder, "sub"))
    make(folder, "evil", 200)
    make(folder, ".hidden", 100)
    transfer = Transfer(folder, ["sub/../evil", "./.hidden"], sz=["-f"])
    equal(transfer.end(), (0, 0, "evil 200\n_hidden 100\n"), "result")
    equal(sorted(os.listdir(transfer.out)), ["_hidden", "evil"], "files")


def overwrite(folder):
    """A file that exists stays as it is, unless --overwrite says otherwise."""
    path = make(folder, "there", 3000)
    out = os.path.join(folder, "out")
    os.mkdir(out)
    with open(os.path.join(out, "there"), "w", encoding="ascii") as file:
        file.write("old")
    transfer = Transfer(folder, [path])
    status = transfer.end()
    equal(status[0], 1, "status of the receiver")
    check(status[1] != 0, "the sender was not told")
    equal(content(out, "there"), b"old", "content")
    check(b"there: File exists" in content(transfer.log), content(transfer.log))

    transfer = Transfer(folder, [path], ["--overwrite"])
    equal(transfer.end(), (0, 0, "there 3000\n"), "result")
    check(content(out, "there") == content(path), "the content differs")
    equal(os.listdir(out), ["there"], "files")


def progress(folder):
    """On a terminal there is a progress bar."""
    path = make(folder, "bar", 100000)
    screen = Terminal()
    transfer = Transfer(folder, [path], stderr=screen.slave)
    equal(transfer.end(), (0, 0, "bar 100000\n"), "result")
    shown = os.read(screen.master, 65536)
    screen.close()
    check(b"\r" in shown and b"100 %" in shown and b"[====" in shown, shown)


def usage(folder):
    """--help, and clear errors."""
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, timeout=PATIENCE, check=True)
    check(b"usage: ymodem-receive" in shown.stdout, shown.stdout)
    for arguments, status, text in (
            (["--nonsense"], 2, b"usage"),
            (["a", "b"], 2, b"usage"),
            (["-d", os.path.join(folder, "none")], 1, b"No such file"),
            (["/dev/null"], 1, b"not a tty"),
            (["tty:/dev/ttyS0?bauds=1"], 1, b"bauds")):
        shown = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=PATIENCE,
                               stdin=subprocess.DEVNULL, check=False)
        equal(shown.returncode, status, f"status with {arguments}")
        check(text in shown.stderr, shown.stderr)


run([megabyte, batch, noise, lost_answer, sender_gives_up, receiver_stops, no_way_out, overwrite,
     progress, usage])
