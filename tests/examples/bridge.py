# SPDX-License-Identifier: MIT
"""serial-bridge, between pseudo-terminals and sockets of this program. usage: bridge.py PROGRAM"""
import hashlib
import os
import random
import select
import selectors
import socket
import subprocess
import sys
import time

from peers import PATIENCE, Terminal, check, equal, run, start, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
PAIRS = 64
LOAD = 128 << 10  # bytes a pair and direction


def free_ports(count):
    """Ports that nobody has now."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def connect(port):
    def attempt():
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except ConnectionRefusedError:
            return None
    return wait_for(attempt, "the bridge listens")


class Bridge:
    def __init__(self, folder, arguments):
        self.log = os.path.join(folder, "stderr")
        with open(self.log, "wb") as log:
            self.process = start([PROGRAM, *arguments], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=log)

    def messages(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def end(self):
        """Ends it with SIGTERM: what it printed."""
        self.process.terminate()
        try:
            printed = self.process.communicate(timeout=PATIENCE)[0].decode()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        equal(self.process.returncode, 0, "status; " + self.messages())
        return printed

    def threads(self):
        """Those of the program: not the workers of the kernel."""
        tasks = f"/proc/{self.process.pid}/task"
        names = [open(f"{tasks}/{task}/comm", encoding="ascii").read() for task in os.listdir(tasks)]
        return [name for name in names if not name.startswith("iou-")]


def read_exactly(fd, size):
    data = b""
    while len(data) < size:
        check(select.select([fd], [], [], PATIENCE)[0], f"only {data!r} has come")
        part = os.read(fd, size - len(data))
        check(part, f"the end after {len(data)} of {size} bytes")
        data += part
    return data


class Mover:
    """Writes a random stream into descriptors, and sums up what comes out of others."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.left = 0
        self.sums = []

    def add(self, source, sink, size, seed):
        data = random.Random(seed).randbytes(size)
        state = {"name": seed, "wanted": hashlib.sha256(data).hexdigest(), "got": 0,
                 "sum": hashlib.sha256(), "size": size}
        self.sums.append(state)
        self.left += 1
        self.watch(source, "data", [memoryview(data)])
        self.watch(sink, "state", state)

    def watch(self, fd, what, value):
        event = selectors.EVENT_WRITE if what == "data" else selectors.EVENT_READ
        try:
            key = self.selector.get_key(fd)
            key.data[what] = value
            self.selector.modify(fd, key.events | event, key.data)
        except KeyError:
            self.selector.register(fd, event, {what: value})

    def drop(self, key, what):
        event = selectors.EVENT_WRITE if what == "data" else selectors.EVENT_READ
        events = self.selector.get_key(key.fd).events & ~event
        if events:
            self.selector.modify(key.fd, events, key.data)
        else:
            self.selector.unregister(key.fd)

    def write(self, key):
        rest = key.data["data"]
        try:
            rest[0] = rest[0][os.write(key.fd, rest[0][:8192]):]
        except BlockingIOError:
            return
        if not rest[0]:
            self.drop(key, "data")

    def read(self, key):
        state = key.data["state"]
        try:
            data = os.read(key.fd, 65536)
        except BlockingIOError:
            return
        check(data, f"the end of {state['name']}")
        state["sum"].update(data)
        state["got"] += len(data)
        if state["got"] >= state["size"]:
            self.left -= 1
            self.drop(key, "state")

    def run(self):
        quiet = time.monotonic()
        while self.left:
            for key, events in self.selector.select(1):
                quiet = time.monotonic()
                if events & selectors.EVENT_READ:
                    self.read(key)
                if events & selectors.EVENT_WRITE:
                    self.write(key)
            check(time.monotonic() - quiet < PATIENCE, "nothing moves: " + ", ".join(
                f"{s['name']}: {s['got']} of {s['size']}" for s in self.sums if s["got"] < s["size"]))
        for state in self.sums:
            equal((state["got"], state["sum"].hexdigest()), (state["size"], state["wanted"]),
                  f"bytes and checksum of {state['name']}")


def full_rate(folder):
    """64 ports at full rate in one thread, both ways, without loss."""
    ports, terminals = free_ports(PAIRS), [Terminal() for _ in range(PAIRS)]
    bridge = Bridge(folder, [f"{terminal.name},listen:{port}"
                             for terminal, port in zip(terminals, ports)])
    sockets = [connect(port) for port in ports]
    mover = Mover()
    for number, (terminal, peer) in enumerate(zip(terminals, sockets)):
        # The bridge drops what comes before it has a client: one byte each way shows that it has.
        peer.sendall(b"?")
        equal(read_exactly(terminal.master, 1), b"?", "first byte")
        os.set_blocking(terminal.master, False)
        peer.setblocking(False)
        mover.add(terminal.master, peer.fileno(), LOAD, f"port {number} to TCP")
        mover.add(peer.fileno(), terminal.master, LOAD, f"TCP to port {number}")
    mover.run()
    equal(len(bridge.threads()), 1, f"threads {bridge.threads()}")
    printed = bridge.end().splitlines()
    equal(len(printed), PAIRS, "lines of statistics")
    for line in printed:
        check(line.endswith(f": {LOAD} bytes to TCP, {LOAD + 1} to the port"), line)
    for terminal, peer in zip(terminals, sockets):
        terminal.close()
        peer.close()


def back_pressure(folder):
    """A side that takes nothing stops the other, and nothing is lost."""
    port, terminal = free_ports(1)[0], Terminal()
    bridge = Bridge(folder, [f"{terminal.name},listen:{port}"])
    peer = connect(port)
    peer.sendall(b"?")
    equal(read_exactly(terminal.master, 1), b"?", "first byte")
    peer.setblocking(False)
    os.set_blocking(terminal.master, False)
    block, sent = bytes(range(256)) * 16, 0
    last = time.monotonic()
    while time.monotonic() - last < 1:  # nothing for that long: it is stopped
        try:
            sent += peer.send(block[sent % 256:])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.02)
    check(sent < 32 << 20, f"{sent} bytes went and nobody took them")
    os.set_blocking(terminal.master, True)
    got = 0
    while got < sent:
        data = os.read(terminal.master, 4096)
        check(data == (block[got % 256:] + block)[:len(data)], f"wrong bytes behind {got}")
        got += len(data)
    bridge.end()
    peer.close()
    terminal.close()


def half_close(folder):
    """A client that sends no more still gets the answer, and then the end."""
    port, terminal = free_ports(1)[0], Terminal()
    bridge = Bridge(folder, [f"{terminal.name},listen:{port}"])
    with connect(port) as peer:
        peer.sendall(b"question")
        peer.shutdown(socket.SHUT_WR)
        equal(read_exactly(terminal.master, 8), b"question", "at the port")
        os.write(terminal.master, b"answer")
        answer = b""
        while data := peer.recv(100):
            answer += data
        equal(answer, b"answer", "at the client")
    with connect(port) as peer:  # the next one
        peer.sendall(b"again")
        equal(read_exactly(terminal.master, 5), b"again", "at the port")
    bridge.end()
    terminal.close()


def client_after_client(folder):
    """Clients that vanish make room for the next; what nobody heard is dropped."""
    port, terminal = free_ports(1)[0], Terminal()
    bridge = Bridge(folder, [f"{terminal.name},listen:{port}"])
    for number in range(5):
        with connect(port) as peer:
            peer.sendall(b"%d" % number)
            equal(read_exactly(terminal.master, 1), b"%d" % number, "at the port")
            os.write(terminal.master, b"yes")
            equal(read_exactly(peer.fileno(), 3), b"yes", "at the client")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # RST
    bridge.end()
    terminal.close()


def port_returns(folder):
    """The port goes away and returns: the connection stays, and bytes wait."""
    link = os.path.join(folder, "port")
    port, terminal = free_ports(1)[0], Terminal(link)
    bridge = Bridge(folder, [f"{link},listen:{port}"])
    with connect(port) as peer:
        for number in range(3):
            peer.sendall(b"here %d" % number)
            equal(read_exactly(terminal.master, 6), b"here %d" % number, "at the port")
            terminal.close()
            wait_for(lambda n=number: bridge.messages().count("is gone") > n, "the port is gone")
            peer.sendall(b"wait %d" % number)
            terminal = Terminal(link)
            equal(read_exactly(terminal.master, 6), b"wait %d" % number, "at the new port")
            os.write(terminal.master, b"back")
            equal(read_exactly(peer.fileno(), 4), b"back", "at the client")
    bridge.end()
    terminal.close()


def connects(folder):
    """A pair that connects does so again when the connection is lost."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        terminal = Terminal()
        bridge = Bridge(folder, [f"{terminal.name},connect:127.0.0.1:{server.getsockname()[1]}"])
        for _ in range(3):
            peer, _ = server.accept()
            with peer:
                peer.settimeout(PATIENCE)
                peer.sendall(b"to port")
                equal(read_exactly(terminal.master, 7), b"to port", "at the port")
                os.write(terminal.master, b"to server")
                equal(read_exactly(peer.fileno(), 9), b"to server", "at the server")
        bridge.end()
        terminal.close()


def usage(folder):
    """--help, a file of pairs, and clear errors."""
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, timeout=PATIENCE, check=True)
    check(b"usage: serial-bridge" in shown.stdout, shown.stdout)
    port, terminal = free_ports(1)[0], Terminal()
    pairs = os.path.join(folder, "pairs")
    with open(pairs, "w", encoding="ascii") as file:
        file.write(f"# a comment\n\n  {terminal.name},listen:127.0.0.1:{port}\n")
    bridge = Bridge(folder, ["-f", pairs])
    connect(port).close()
    check("0 to the port" in bridge.end(), "statistics")
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        for arguments, status, text in (
                ([], 2, b"usage"),
                (["/dev/tty1"], 2, b"is no pair"),
                ([f"{terminal.name},listen:localhost:nowhere"], 2, b"localhost:nowhere"),
                ([f"{terminal.name},listen:{taken}"], 1, b"Address already in use"),
                ([f"/dev/none,listen:{port}"], 1, b"No such file"),
                (["-f", "/dev/none"], 2, b"No such file")):
            shown = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=PATIENCE,
                                   check=False)
            equal(shown.returncode, status, f"status with {arguments}")
            check(text in shown.stderr, shown.stderr)
    terminal.close()


run([full_rate, back_pressure, half_close, client_after_client, port_returns, connects, usage])
