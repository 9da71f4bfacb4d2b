# SPDX-License-Identifier: MIT
"""modbus-master, against a server of libmodbus. usage: modbus.py PROGRAM SERVER"""
import os
import re
import subprocess
import sys

from peers import PATIENCE, Line, Terminal, check, equal, run, start, wait_for

PROGRAM, SERVER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
UNIT = 17


class Plant:
    """The server behind a line, and the master that polls it."""

    def __init__(self, folder, options=(), spec="modbus-rtu:tty:{}?gap=4ms"):
        self.folder, self.link = folder, os.path.join(folder, "port")
        self.near, self.far = Terminal(self.link), Terminal()
        self.spoil = False
        self.line = Line(self.far.master, self.near.master, self.change)
        self.server = None
        self.start_server()
        self.out, self.err = os.path.join(folder, "out"), os.path.join(folder, "err")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.master = start([PROGRAM, "-u", str(UNIT), *options, spec.format(self.link)],
                                stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def start_server(self):
        self.server = start([SERVER, self.far.name, str(UNIT)], stdout=subprocess.PIPE)
        equal(self.server.stdout.readline(), b"ready\n", "the server")

    def stop_server(self):
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()

    def change(self, data):
        if self.spoil:
            self.spoil = False
            return bytes([data[0] ^ 1]) + data[1:]
        return data

    def text(self, path):
        with open(path, encoding="ascii") as file:
            return file.read()

    def count(self, what):
        """Of the last line of statistics."""
        found = re.findall(rf"\b{what} (\d+)", self.text(self.out))
        return int(found[-1]) if found else 0

    def more(self, what, number=20):
        """Waits until that many more were counted."""
        before = self.count(what)
        wait_for(lambda: self.count(what) >= before + number, f"{number} more {what}; "
                 + self.text(self.err))

    def replug(self):
        self.line.close()
        self.near.close()
        wait_for(lambda: "is gone" in self.text(self.err), "the port is gone")
        self.near = Terminal(self.link)
        self.line = Line(self.far.master, self.near.master, self.change)

    def end(self):
        self.master.terminate()
        equal(self.master.wait(timeout=PATIENCE), 0, "status; " + self.text(self.err))
        self.stop_server()
        self.line.close()
        self.near.close()
        self.far.close()
        return self.text(self.out)


def polls(folder):
    """Registers at 100 Hz, their values and changes, and statistics."""
    plant = Plant(folder)
    plant.more("good", 100)
    shown = plant.end().splitlines()
    values = dict(pair.split("=") for pair in shown[0].split())
    equal(len(values), 16, "registers of the first poll")
    equal([values[str(i)] for i in range(1, 16)], [str(1000 + i) for i in range(1, 16)], "values")
    changes = [line for line in shown[1:] if "=" in line]
    check(len(changes) >= 99, "changes of the register that counts")
    check(all(re.fullmatch(r"0=\d+", line) for line in changes), "other registers have changed")
    check(re.fullmatch(r"polls \d+ good \d+ timeouts \d+ bad-crc \d+ wrong \d+ skipped \d+ opened 1 "
                       r"latency p50 \d+\.\d\d ms p99 \d+\.\d\d ms", shown[-1]), shown[-1])


def server_returns(folder):
    """The server dies and returns: time-outs, then answers again."""
    plant = Plant(folder, ["-t", "50"])
    for _ in range(2):
        plant.more("good")
        plant.stop_server()
        plant.more("timeouts", 5)
        plant.start_server()
        plant.more("good")
    equal(plant.count("opened"), 1, "the port was opened")
    plant.end()


def port_returns(folder):
    """The port goes away and returns: it is opened again."""
    plant = Plant(folder)
    plant.more("good")
    plant.replug()
    plant.more("good")
    check(plant.count("opened") == 2, "the port was not opened again")
    plant.end()


def noise(folder):
    """A spoilt answer is told from a missing one."""
    plant = Plant(folder)
    plant.more("good")
    for _ in range(3):
        before = plant.count("bad-crc")
        plant.spoil = True
        wait_for(lambda b=before: plant.count("bad-crc") > b, "a bad checksum is counted")
    plant.more("good")
    plant.end()


def usage(folder):
    """--help, an end after some polls, refusals and clear errors."""
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, timeout=PATIENCE, check=True)
    check(b"usage: modbus-master" in shown.stdout, shown.stdout)
    plant = Plant(folder, ["-p", "5", "-a", "10", "-n", "16"])
    equal(plant.master.wait(timeout=PATIENCE), 0, "status")
    check("polls 5 good 0" in plant.text(plant.out), plant.text(plant.out))
    check("exception 2" in plant.text(plant.err), plant.text(plant.err))
    plant.stop_server()
    plant.line.close()
    for arguments, status, text in (
            ([], 2, b"usage"),
            (["-u", "300", "/dev/null"], 2, b"1 to 247"),
            (["/dev/null"], 1, b"not a tty"),
            (["/dev/none"], 1, b"No such file")):
        shown = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=PATIENCE,
                               check=False)
        equal(shown.returncode, status, f"status with {arguments}")
        check(text in shown.stderr, shown.stderr)


run([polls, server_returns, port_returns, noise, usage])
