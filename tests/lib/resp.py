"""RESP: requests to bytes, reply bytes to values.

A reply is framed first (Framer: where does it end?) and parsed second (parse), so every caller can compare raw bytes. Values:

    +text  Simple (a str)        $bulk  bytes             *array  list          %map   Map (list of pairs)
    -text  Error (a str)         =verb  Verbatim (bytes)  ~set    Set (list)    >push  Push (list)
    :int   int                   ,float Double (a str)    #bool   bool          (big   int        null  None
"""


class Simple(str):
    pass


class Error(str):
    pass


class Double(str):
    pass


class Verbatim(bytes):
    pass


class Set(list):
    pass


class Push(list):
    pass


class Map(list):
    """Pairs in the order in which they came; get() looks one up."""

    def get(self, key, default=None):
        for name, value in self:
            if name == key:
                return value
        return default


class ProtocolError(Exception):
    """The server sent bytes that are no reply."""


def encode(*arguments):
    """One request as a multibulk. Arguments are bytes, str or int."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument if isinstance(argument, (bytes, bytearray)) else str(argument).encode()
        parts.append(b"$%d\r\n" % len(data))
        parts.append(bytes(data))
        parts.append(b"\r\n")
    return b"".join(parts)


class Framer:
    """Finds the end of the reply at the start of a growing buffer, without reading any byte of it twice."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.position = 0  # scanned so far
        self.pending = 1  # values still to come before the reply is complete

    def end(self, buffer):
        """The length of the first reply in buffer, or None if it is not all there. Call reset() after taking it."""
        while self.pending:
            line_end = buffer.find(b"\r\n", self.position)
            if line_end < 0:
                return None
            kind, count = buffer[self.position : self.position + 1], buffer[self.position + 1 : line_end]
            after = line_end + 2
            if kind in (b"$", b"="):
                length = number(count)
                if length >= 0:
                    after += length + 2
                    if len(buffer) < after:
                        return None
            elif kind in (b"*", b"~", b">"):
                self.pending += max(number(count), 0)
            elif kind == b"%":
                self.pending += 2 * number(count)
            elif kind == b"|":
                self.pending += 2 * number(count) + 1
            elif kind not in (b"+", b"-", b":", b",", b"#", b"(", b"_"):
                raise ProtocolError("reply type %r in %r" % (bytes(kind), bytes(buffer[:200])))
            self.position = after
            self.pending -= 1
        return self.position


def number(text):
    try:
        return int(text)
    except ValueError:
        raise ProtocolError("length %r" % bytes(text)) from None


def parse(raw):
    """The value of one complete reply."""
    value, end = _parse(bytes(raw), 0)
    if end != len(raw):
        raise ProtocolError("%d bytes after the reply" % (len(raw) - end))
    return value


def _parse(raw, start):
    line_end = raw.index(b"\r\n", start)
    kind, text, after = raw[start : start + 1], raw[start + 1 : line_end], line_end + 2
    if kind == b"+":
        return Simple(text.decode("latin-1")), after
    if kind == b"-":
        return Error(text.decode("latin-1")), after
    if kind in (b":", b"("):
        return number(text), after
    if kind == b",":
        return Double(text.decode("latin-1")), after
    if kind == b"#":
        return text == b"t", after
    if kind == b"_":
        return None, after
    count = number(text)
    if kind in (b"$", b"="):
        if count < 0:
            return None, after
        data = raw[after : after + count]
        if raw[after + count : after + count + 2] != b"\r\n":
            raise ProtocolError("a bulk of %d bytes does not end in CRLF" % count)
        return (data if kind == b"$" else Verbatim(data)), after + count + 2
    if count < 0:
        return None, after
    items = []
    for _ in range(count * 2 if kind in (b"%", b"|") else count):
        item, after = _parse(raw, after)
        items.append(item)
    if kind == b"|":  # attributes describe the value that follows them
        return _parse(raw, after)
    if kind == b"%":
        return Map(zip(items[::2], items[1::2])), after
    return {b"*": list, b"~": Set, b">": Push}[kind](items), after


ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "b": b"\b", "a": b"\a", "0": b"\0"}


def unescape(text):
    """Backslash escapes as in redis-cli's double quotes: \\n \\r \\t \\b \\a \\xHH, and any other character for itself."""
    out, i = bytearray(), 0
    while i < len(text):
        if text[i] != "\\" or i + 1 == len(text):
            out += text[i].encode()
            i += 1
        elif text[i + 1] == "x" and len(text) >= i + 4:
            out.append(int(text[i + 2 : i + 4], 16))
            i += 4
        else:
            out += ESCAPES.get(text[i + 1], text[i + 1].encode())
            i += 2
    return bytes(out)


def split_arguments(line):
    """A line of words into arguments, quoted as in redis-cli: "with escapes", 'without', or bare."""
    arguments, i = [], 0
    while True:
        while i < len(line) and line[i].isspace():
            i += 1
        if i == len(line):
            return arguments
        start = i
        if line[i] in "\"'":
            quote = line[i]
            i += 1
            while i < len(line) and line[i] != quote:
                i += 2 if line[i] == "\\" else 1
            if i >= len(line):
                raise ValueError("unbalanced quotes: " + line)
            inner = line[start + 1 : i]
            arguments.append(unescape(inner) if quote == '"' else inner.replace("\\'", "'").encode())
            i += 1
            if i < len(line) and not line[i].isspace():
                raise ValueError("text behind a closing quote: " + line)
        else:
            while i < len(line) and not line[i].isspace():
                i += 1
            arguments.append(line[start:i].encode())


def show(data, limit=300):
    """Bytes for a human: quoted, escaped, cut in the middle when long."""
    data = bytes(data)
    if len(data) > limit:
        return "%r ... %r (%d bytes)" % (data[: limit * 2 // 3], data[-limit // 3 :], len(data))
    return repr(data)[1:]
