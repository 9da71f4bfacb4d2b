#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Framings by other hands, from the texts that define them: reads frames from descriptor 0, sends
each one back reversed, in pieces that tear it apart.

usage: framing_peer.py slip|cobs|hdlc|lines|length
"""
import os
import struct
import sys


class Input:
    """The bytes of descriptor 0."""

    def __init__(self):
        self.rest = b''

    def byte(self):
        while not self.rest:
            self.rest = os.read(0, 61)
            if not self.rest:
                sys.exit(0)
        first, self.rest = self.rest[:1], self.rest[1:]
        return first

    def until(self, end):
        text = b''
        while not text.endswith(end):
            text += self.byte()
        return text[:-len(end)]

    def count(self, number):
        return b''.join(self.byte() for _ in range(number))


# RFC 1055: END is 0300 octal, ESC 0333; ESC_END 0334 and ESC_ESC 0335 stand for them.
def slip_read(source):
    while True:
        frame = source.until(b'\300')
        if frame:
            return frame.replace(b'\333\334', b'\300').replace(b'\333\335', b'\333')


def slip_write(frame):
    return frame.replace(b'\333', b'\333\335').replace(b'\300', b'\333\334') + b'\300'


# Cheshire and Baker, 1999: runs without a zero, each behind its length and one, 254 at most.
def cobs_read(source):
    while True:
        line = source.until(b'\0')
        if line:
            break
    frame = b''
    while line:
        code, line = line[0], line[1:]
        frame += line[:code - 1]
        line = line[code - 1:]
        if code < 255 and line:
            frame += b'\0'
    return frame


def cobs_write(frame):
    line = b''
    for run in frame.split(b'\0'):
        whole = 254
        while len(run) > whole:
            line += b'\xff' + run[:whole]
            run = run[whole:]
        if len(run) == whole:
            line += b'\xff' + run
            # The zero that a full run does not imply, unless the frame ends here.
            line += b'\x01' if run is not frame.split(b'\0')[-1] else b''
        else:
            line += bytes([len(run) + 1]) + run
    return line + b'\0'


# RFC 1662: the divisor x^16 + x^12 + x^5 + 1, least significant bit first, starting with ones.
def fcs16(data):
    register = 0xFFFF
    for byte in data:
        for bit in range(8):
            carry = (register ^ byte >> bit) & 1
            register >>= 1
            if carry:
                register ^= 0x8408
    return register ^ 0xFFFF


assert fcs16(b'123456789') == 0x906E


def hdlc_read(source):
    while True:
        line = source.until(b'\x7e')
        if line:
            break
    pieces = line.split(b'\x7d')
    frame = pieces[0] + b''.join(bytes([p[0] ^ 0x20]) + p[1:] for p in pieces[1:])
    if struct.unpack('<H', frame[-2:])[0] != fcs16(frame[:-2]):
        sys.exit('wrong FCS: ' + frame.hex())
    return frame[:-2]


def hdlc_write(frame):
    line = b''
    for byte in frame + struct.pack('<H', fcs16(frame)):
        line += bytes([0x7D, byte ^ 0x20]) if byte in (0x7D, 0x7E, 0x11, 0x13) else bytes([byte])
    return b'\x7e' + line + b'\x7e'


def lines_read(source):
    return source.until(b'\n')


def lines_write(frame):
    return frame + b'\n'


def length_read(source):
    return source.count(struct.unpack('>H', source.count(2))[0])


def length_write(frame):
    return struct.pack('>H', len(frame)) + frame


def main():
    framing = sys.argv[1]
    read, write = globals()[framing + '_read'], globals()[framing + '_write']
    source, number = Input(), 0
    while True:
        line = write(read(source)[::-1])
        number += 1
        for start in range(0, len(line), number % 50 + 7):
            os.write(1, line[start:start + number % 50 + 7])


main()
