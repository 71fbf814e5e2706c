"""What RESTORE is given: payloads of DUMP, altered, with a version and a checksum that are right."""
import glob
import os

HERE = os.path.dirname(os.path.abspath(__file__))
FOOTER = 10  # bytes at the end: the version, two bytes, and the checksum of all before it, eight; lowest byte first
POLYNOMIAL = 0x95AC9329AC4BC9B5  # Jones's, reflected
VERSION_MAX = 14
LONGEST = 4000  # a longer payload is not kept, for a checksum in Python takes its time
KEPT = 400
EDGES = b"\x00\x01\x02\x0a\x3f\x40\x7f\x80\x81\xc0\xc1\xc2\xc3\xc4\xe0\xf0\xf1\xfd\xfe\xff"


def crc64_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc64_table()


def crc64(data):
    crc = 0
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc


def sealed(body, version):
    """A type and a value as a payload that is opened."""
    summed = body + version.to_bytes(2, "little")
    return summed + crc64(summed).to_bytes(8, "little")


class Payloads:
    """Those to begin with are the stored inputs of fuzz_load; add() takes what DUMP has given since."""

    def __init__(self):
        self.bodies = []
        for path in sorted(glob.glob(os.path.join(HERE, "corpus", "load", "*"))):
            with open(path, "rb") as file:
                data = file.read()  # the size of its pieces, its version, its type and its value
            if 3 <= len(data) <= LONGEST:
                self.bodies.append(data[2:])

    def add(self, payload, dice):
        body = bytes(payload[:-FOOTER])
        if not 2 <= len(body) <= LONGEST:
            return
        if len(self.bodies) < KEPT:
            self.bodies.append(body)
        else:
            self.bodies[dice.randrange(KEPT)] = body

    def draw(self, dice):
        body = bytearray(dice.choice(self.bodies))
        for _ in range(dice.choice((0, 1, 1, 1, 2, 2, 3, 8))):
            self.alter(body, dice)
        version = dice.choice((11, 11, 11, 10, 9, 12, dice.randrange(1, VERSION_MAX + 1)))
        payload = sealed(bytes(body), version)
        return payload if dice.random() < 0.97 else payload[:-1] + bytes([dice.randrange(256)])

    def alter(self, body, dice):
        kind, at = dice.randrange(8), dice.randrange(len(body) + 1)
        end = min(len(body), at + dice.choice((1, 1, 2, 3, 8, 40)))
        if kind == 0 and at < len(body):
            body[at] ^= 1 << dice.randrange(8)
        elif kind in (1, 2) and at < len(body):
            body[at] = dice.choice(EDGES) if kind == 1 else dice.randrange(256)
        elif kind == 3:
            body[at:at] = bytes(dice.choice(EDGES) for _ in range(dice.choice((1, 1, 2, 5))))
        elif kind == 4:
            del body[at:end]
        elif kind == 5:
            body[at:at] = body[at:end]
        elif kind == 6:
            other = dice.choice(self.bodies)
            body[at:] = other[dice.randrange(len(other)):][:LONGEST - at]
        elif body:
            body[0] = dice.randrange(26)
