# SPDX-License-Identifier: MIT
"""sensord, on simulated devices, with its console on a pseudo-terminal and a socket where systemd has
one. usage: sensord.py PROGRAM FOLDER-OF-ITS-FILES [CASE]..."""
import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

from peers import PATIENCE, Skip, Terminal, check, equal, need, run, start, wait_for

PROGRAM, SOURCE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
BUSES = ["sim-i2c:demo", "sim-pwm:demo"]
STATUS = re.compile(r"(\S+)(?: C)?, fan (\S+)(?: %)? \(([a-z ]+)\), (\d+) readings, (\d+) failed")


class Daemon:
    """sensord --demo, whose console is here."""

    def __init__(self, folder, *options, environment=None, link=None, period="0.02"):
        self.terminal = Terminal(link)
        self.log = os.path.join(folder, "stderr")
        self.text = ""
        with open(self.log, "wb") as log:
            self.process = start(
                [PROGRAM, "--demo", "--console", f"tty:{link or self.terminal.name}",
                 # On a busy machine some periods of 20 ms pass without a reading.
                 "--echo", "yes", "--period", period, "--failures", "100", *options],
                stdin=subprocess.DEVNULL, stderr=log, cwd=folder,
                env=dict(os.environ, **(environment or {})))
        self.expect("sensord: .*")  # from here on it is listened to

    def messages(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def line(self):
        """The next line of the console."""
        while "\r\n" not in self.text:
            ready = select.select([self.terminal.master], [], [], PATIENCE)[0]
            check(ready, f"only {self.text!r} on the console; " + self.messages())
            self.text += os.read(self.terminal.master, 4096).decode()
        line, self.text = self.text.split("\r\n", 1)
        return line

    def type(self, command):
        os.write(self.terminal.master, command.encode())

    def ask(self, command, pattern=r".*"):
        """Types a command, and returns the match of the first line that has it."""
        self.type(command + "\r")
        while self.line() != command:  # what was said meanwhile; this is the echo
            pass
        return self.expect(pattern)

    def expect(self, pattern):
        while True:
            found = re.fullmatch(pattern, self.line())
            if found:
                return found

    def until(self, condition, what):
        """Asks for the status until condition(degrees, percent, mode) holds."""
        return wait_for(lambda: condition(*self.ask("status", STATUS).groups()[:3]), what)

    def end(self, sign=signal.SIGTERM):
        self.process.send_signal(sign)
        return self.ended()

    def ended(self):
        status = self.process.wait(timeout=PATIENCE)
        equal(status, 0, "status; " + self.messages())
        self.terminal.close()


class Manager:
    """The socket of a service manager: sd_notify(3)."""

    def __init__(self, folder, watchdog=None):
        path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.environment = {"NOTIFY_SOCKET": path}
        if watchdog:
            self.environment["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        self.heard = []
        self.queue = queue.Queue()
        # Like the real one it always reads: sd_notify() waits when the socket is full.
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            self.queue.put(self.socket.recv(4096).decode())

    def listen(self, patience):
        """What came within a time, if anything."""
        try:
            message = self.queue.get(timeout=patience)
        except queue.Empty:
            return None
        self.heard.append(message)
        return message

    def expect(self, word):
        """Listens until a message has a line that begins with `word`."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            message = self.listen(1)
            if message and any(line.startswith(word) for line in message.splitlines()):
                return message
        raise AssertionError(f"no {word} in {self.heard}")


def linked_to_systemd():
    libraries = subprocess.run([need("ldd"), PROGRAM], capture_output=True, check=True)
    return b"libsystemd" in libraries.stdout


def systemd():
    if not linked_to_systemd():
        raise Skip("built without libsystemd")


def threads(pid):
    """Names of those of the process: not the workers of the kernel."""
    tasks = f"/proc/{pid}/task"
    names = [open(f"{tasks}/{task}/comm", encoding="ascii").read().strip()
             for task in os.listdir(tasks)]
    return [name for name in names if not name.startswith("iou-")]


# --- a service ---

def service(folder):
    """READY, the watchdog is fed, and SIGTERM ends it in time."""
    systemd()
    manager = Manager(folder, watchdog=0.4)
    daemon = Daemon(folder, environment=manager.environment)
    manager.expect("READY=1")
    for _ in range(4):
        manager.expect("WATCHDOG=1")
    check(any("STATUS=" in message for message in manager.heard), manager.heard)
    began = time.monotonic()
    daemon.process.terminate()
    check("STOPPING=1" in manager.expect("STOPPING=1"), "STOPPING")
    daemon.expect("ends")
    daemon.ended()
    check(time.monotonic() - began < PATIENCE / 2, "the end took long")


def status_line(folder):
    """STATUS says what there is, and only when it changes."""
    systemd()
    manager = Manager(folder)
    daemon = Daemon(folder, environment=manager.environment)
    daemon.ask("heat 50")
    manager.expect("STATUS=50.0 C, fan 65 % (auto)")
    daemon.ask("status", STATUS)
    before = len(manager.heard)
    count = int(daemon.ask("status", STATUS)[4])
    wait_for(lambda: int(daemon.ask("status", STATUS)[4]) > count + 20, "twenty more readings")
    while manager.listen(0.05):
        pass
    equal(manager.heard[before:], [], "messages with nothing new in them")
    daemon.end()


def one_thread(folder):
    """One thread of the program, and one for each bus."""
    daemon = Daemon(folder)
    daemon.until(lambda degrees, percent, mode: percent != "unknown", "the fan")
    equal(sorted(threads(daemon.process.pid)), sorted(["sensord", *BUSES]), "threads")
    daemon.end()


def stuck(folder):
    """A reading that never ends: the watchdog is no longer fed; the loop goes on, at full speed."""
    systemd()
    manager = Manager(folder, watchdog=0.4)
    # A transfer that takes an hour.
    daemon = Daemon(folder, "--temperature", "tmp105:sim-i2c:slow?addr=0x48&latency=3600000000000",
                    environment=manager.environment)
    manager.expect("STATUS=unknown, fan 100 % (no temperature)")
    wait_for(lambda: not fed(manager, 2), "nobody feeds it")
    equal(daemon.ask("temp")[0], "unknown", "the console")
    daemon.process.kill()  # as systemd does
    daemon.process.wait()
    daemon.terminal.close()


def held(folder):
    """A bus that is held down: readings fail, which is no reason for a restart."""
    systemd()
    manager = Manager(folder, watchdog=0.4)
    daemon = Daemon(folder, environment=manager.environment)
    daemon.ask("heat 45")
    daemon.until(lambda *status: status == ("45.0", "47", "auto"), "47 %")
    daemon.ask("hold")
    daemon.until(lambda *status: status == ("unknown", "100", "no temperature"), "full speed")
    daemon.ask("free")
    daemon.until(lambda *status: status == ("45.0", "47", "auto"), "47 %")
    check(fed(manager, 2) > 0, "nobody feeds the watchdog")
    check("sensor: works" in daemon.messages(), daemon.messages())
    daemon.end()


def fed(manager, seconds):
    end = time.monotonic() + seconds
    count = 0
    while (left := end - time.monotonic()) > 0:
        count += manager.listen(left) == "WATCHDOG=1"
    return count


def unit(folder):
    """systemd takes the unit."""
    name = os.path.join(folder, "sensord.service")
    with open(os.path.join(SOURCE, "sensord.service"), encoding="utf-8") as file:
        text = file.read()
    check("/usr/bin/sensord --config" in text, "ExecStart")
    with open(name, "w", encoding="utf-8") as file:  # neither it nor its pages are installed here
        file.write(re.sub(r"^Documentation=.*\n", "", text.replace("/usr/bin/sensord", PROGRAM),
                          flags=re.M))
    done = subprocess.run([need("systemd-analyze"), "verify", name], capture_output=True,
                          text=True, timeout=PATIENCE, check=False)
    equal((done.returncode, done.stderr + done.stdout), (0, ""), "systemd-analyze verify")


def settings_file(folder):
    """The file that is shipped has settings that sensord takes."""
    done = subprocess.run([PROGRAM, "--config", os.path.join(SOURCE, "sensord.conf"), "--low", "x"],
                          capture_output=True, text=True, timeout=PATIENCE, cwd=folder, check=False)
    equal(done.returncode, 2, "status")
    check(done.stderr.startswith("sensord: low: 'x'"), done.stderr)  # its only complaint


def rules(_):
    """udev takes the rules."""
    udevadm = need("udevadm")
    shown = subprocess.run([udevadm, "--help"], capture_output=True, timeout=PATIENCE, check=True)
    if b"verify" not in shown.stdout:
        raise Skip("udevadm verify is there since systemd 254")
    subprocess.run([udevadm, "verify", os.path.join(SOURCE, "60-kroutine.rules")],
                   timeout=PATIENCE, check=True)


# --- the console ---

def console(folder):
    """Commands, echo, corrections, and all ends of lines."""
    daemon = Daemon(folder)
    daemon.ask("heat 41.5")
    daemon.until(lambda degrees, percent, mode: degrees == "41.5", "the temperature")
    equal(daemon.ask("temp")[0], "41.500", "temp")
    check(daemon.ask("help", r"temp .*"), "help")
    daemon.expect(r"help .*")
    equal(daemon.ask("fna")[0], "unknown command; try help", "a mistake")
    for wrong in "101", "-1", "x", "5x":
        equal(daemon.ask(f"fan {wrong}")[0], "fan: auto, or percent from 0 to 100", wrong)
    check(daemon.ask("fan 55", STATUS)[3] == "manual", "mode")
    daemon.until(lambda degrees, percent, mode: (percent, mode) == ("55", "manual"), "55 percent")
    check(daemon.ask("fan auto", STATUS)[3] == "auto", "mode")
    daemon.type("tex\b \x7fmp\n")  # a line that ends with LF, and two corrections
    equal(daemon.line(), "tex\b \b \b \bmp", "echo")
    equal(daemon.line(), "41.500", "the answer")
    daemon.type("temp\r\ntemp\r\n\r\n")  # CR LF is one end
    equal([daemon.line() for _ in range(5)], ["temp", "41.500", "temp", "41.500", ""], "answers")
    daemon.type("x" * 300 + "\r")
    daemon.expect("unknown command; try help")
    daemon.ask("watch", STATUS)
    daemon.expect(STATUS)
    daemon.expect(STATUS)
    daemon.ask("watch", "no longer")
    daemon.type("quit\r")
    daemon.expect("ends")
    daemon.ended()


def silence(folder):
    """Nobody reads the console: the daemon goes on, and ends in time."""
    systemd()
    manager = Manager(folder)
    daemon = Daemon(folder, environment=manager.environment, period="0.002")
    daemon.type("heat 50\rwatch\r")
    manager.expect("STATUS=50.0 C")
    time.sleep(2)  # a thousand lines, many times what a terminal keeps
    daemon.type("heat 55\r")
    manager.expect("STATUS=55.0 C")
    daemon.end()


def console_returns(folder):
    """The console goes and comes back."""
    link = os.path.join(folder, "port")
    daemon = Daemon(folder, link=link)
    daemon.ask("status", STATUS)
    daemon.terminal.close()
    wait_for(lambda: "console: " in daemon.messages(), "it is missed")
    daemon.terminal = Terminal(link)
    daemon.text = ""
    daemon.expect("sensord: .*")
    check("console: works" in daemon.messages(), daemon.messages())
    daemon.ask("status", STATUS)
    daemon.end()


# --- what it is for ---

def curve(folder):
    """The fan follows the temperature, with hysteresis."""
    daemon = Daemon(folder, "--low", "40", "--high", "60", "--minimum", "30", "--hysteresis", "2")
    # A straight line from 30 % at 40 degrees to 100 % at 60; down again 2 degrees later.
    for degrees, percent in ((20, 0), (39.5, 0), (40, 30), (50, 65), (49, 65), (48, 65), (47, 61),
                             (60, 100), (90, 100), (61, 100), (57, 96), (39, 33), (38, 30),
                             (37.5, 0), (39, 0), (40, 30)):
        daemon.ask(f"heat {degrees}")
        daemon.until(lambda d, p, _, want=(f"{degrees:.1f}", str(percent)): (d, p) == want,
                     f"{percent} % at {degrees} degrees; {daemon.messages()}")
    daemon.end()


def button(folder):
    """The button: full speed, and automatic again; bounces are one press."""
    daemon = Daemon(folder)
    daemon.ask("heat 45")
    daemon.until(lambda d, percent, mode: (percent, mode) == ("47", "auto"), "47 %")
    for mode, percent in (("button", "100"), ("auto", "47")) * 3:
        # Busy while the finger is still there from the press before.
        wait_for(lambda: daemon.ask("press", "done|.*busy")[0] == "done", "a press")
        daemon.until(lambda d, p, m, want=(percent, mode): (p, m) == want, f"{mode}, {percent} %")
    equal(daemon.messages().count("button:"), 6, "presses")
    daemon.end()


def faults(folder):
    """Readings that fail: said once; after some of them full speed; then as before."""
    daemon = Daemon(folder)
    daemon.ask("heat 45")
    daemon.until(lambda d, percent, mode: (percent, mode) == ("47", "auto"), "47 %")
    bad = int(daemon.ask("status", STATUS)[5])
    daemon.ask("fault 3")
    wait_for(lambda: int(daemon.ask("status", STATUS)[5]) >= bad + 3, "three failures")
    wait_for(lambda: "sensor: works" in daemon.messages(), "it works again")
    equal(daemon.messages().count("sensor:"), 2, "messages " + daemon.messages())
    check("sensor: no chip answers" in daemon.messages(), "messages " + daemon.messages())
    check("no temperature" not in daemon.messages(), "three failures are not too many")
    daemon.ask("fault 1000000")
    daemon.until(lambda *status: status == ("unknown", "100", "no temperature"), "full speed")
    daemon.ask("fan 10")  # nobody knows whether that is right
    daemon.until(lambda *status: status == ("unknown", "100", "no temperature"), "full speed")
    daemon.ask("fault 0")
    daemon.until(lambda *status: status == ("45.0", "10", "manual"), "10 %")
    equal(daemon.messages().count("no temperature"), 1, "messages " + daemon.messages())
    daemon.end()


def no_devices(folder):
    """A thermometer that is not there: full speed, and it is tried again; a wrong spec ends it."""
    daemon = Daemon(folder, "--temperature", "tmp105:i2c:/dev/none?addr=0x48")
    daemon.until(lambda *status: status == ("unknown", "100", "no temperature"), "full speed")
    equal(daemon.messages().count("sensor: tmp105: i2c:/dev/none"), 1, "messages " + daemon.messages())
    daemon.end()
    done = subprocess.run([PROGRAM, "--demo", "--fan", "sim-pwm:x/0?nonsense=1"],
                          capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
                          check=False)
    equal(done.returncode, 1, "status")
    check(b"nonsense" in done.stderr, done.stderr)


def unplugged(folder):
    """A bus that goes while it is in use: full speed, and it is opened again."""
    daemon = Daemon(folder, "--failures", "20")  # 400 ms, and after a second it is tried again
    daemon.ask("heat 45")
    daemon.until(lambda *status: status == ("45.0", "47", "auto"), "47 %")
    daemon.ask("unplug")
    daemon.until(lambda *status: status == ("unknown", "100", "no temperature"), "full speed")
    # What comes back is another thermometer, with the temperature of a room.
    daemon.until(lambda *status: status == ("25.0", "0", "auto"), "off")
    equal(daemon.messages().count("sensor:"), 3, daemon.messages())
    daemon.end()


def reload(folder):
    """SIGHUP: the file is read again; a mistake in it changes nothing."""
    path = os.path.join(folder, "conf")

    def write(text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    write("# a comment\n\nlow = 40\n  high=60  \nminimum = 30\n")
    manager = Manager(folder)
    daemon = Daemon(folder, "--config", path, environment=manager.environment)
    daemon.ask("heat 50")
    daemon.until(lambda d, percent, mode: percent == "65", "65 %")
    write("low = 40\nhigh = 80\nminimum = 20\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda d, percent, mode: percent == "40", "40 %")
    if linked_to_systemd():
        manager.expect("RELOADING=1")
        manager.expect("READY=1")
    for wrong in "low = x\n", "high = 20\n", "nothing\n", "speed = 1\n":
        said = daemon.messages().count("the settings stay")
        write(wrong)
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda n=said: daemon.messages().count("the settings stay") > n, wrong)
    daemon.until(lambda d, percent, mode: percent == "40", "40 %")
    # Another fan, and no button.
    write("low = 40\nhigh = 80\nminimum = 20\nfan = sim-pwm:other/0\nbutton =\n")
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.messages().count("read again") == 2, "settings")
    daemon.until(lambda d, percent, mode: percent == "40", "40 %")
    daemon.end()


def usage(folder):
    """--help, and clear errors."""
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, timeout=PATIENCE, check=True)
    check(b"usage: sensord" in shown.stdout and b"--hysteresis" in shown.stdout, shown.stdout)
    for arguments, text in (
            ([], b"--temperature"),
            (["--nonsense"], b"usage"),
            (["word"], b"usage"),
            (["--demo", "--low", "hot"], b"low: 'hot'"),
            (["--demo", "--minimum", "101"], b"minimum"),
            (["--demo", "--period", "0"], b"period"),
            (["--demo", "--echo", "perhaps"], b"echo"),
            (["--demo", "--high", "30"], b"not above"),
            (["--demo", "--config", "/dev/none"], b"/dev/none: No such file")):
        shown = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=PATIENCE,
                               stdin=subprocess.DEVNULL, check=False)
        equal(shown.returncode, 2, f"status with {arguments}")
        check(text in shown.stderr, shown.stderr)



if len(sys.argv) > 3:
    run([globals()[name] for name in sys.argv[3:]])
run([service, status_line, one_thread, stuck, held, unit, settings_file, rules, console, silence, console_returns, curve,
     button, faults, unplugged, no_devices, reload, usage])
