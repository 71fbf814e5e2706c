#!/usr/bin/env python3
"""Tidy is a test: what a reviewer would otherwise have to notice every time.

    tidy.py            checks the tree that this file stands in
    tidy.py --canary   plants one offence of each kind in a small tree, and checks that each is found

Each check below is a function that yields (path, line, text); its first sentence is its rule. Looks at the files that git tracks or
would track, else at all.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOMS = ("uring", "protocol", "store", "server")
TOP_LEVEL = ROOMS + ("tests", "bench", "CMakeLists.txt", "kevy.conf", "README.md", "LICENSE")

# From where, what may be included beside the folder's own files: every arrow runs down. The first prefix that fits a file decides.
GROUND = r"server/(?:limits|log|clock|lock_order|missing)\.h"


def server(*folders):
    return r"server/(?:%s)/.*" % "|".join(folders)


FIGURES = ("config", "report")
TALK = FIGURES + ("clients",)
LOCKS = TALK + ("stripes",)
CALL = LOCKS + ("journal", "call")
LOOP = CALL + ("exec", "loop")
ARROWS = [
    ("protocol/", []),
    ("uring/", [r"protocol/(?:assert|text)\.h"]),
    ("store/", [r"protocol/(?:assert|bytes|load|number|sha1)\.h"]),
    ("server/commands/", [r"(?:protocol|store)/.*", GROUND, server("call", "clients", "report", "replication"),
                          r"server/exec/(?:transaction|nested|reload|script|monitor|slowlog|pause|mute|blocking)\.h",
                          r"server/(?:stripes/stripes|config/config|journal/(?:aof_rewrite|aof_switch|appender|claim|intake|snapshot)|process/server)\.h"]),
    ("server/process/", [r"(?:protocol|store)/.*", r"uring/(?:io|probe)\.h", GROUND, server(*LOOP, "replication")]),
    ("server/replication/", [r"(?:protocol|store)/.*", r"uring/io\.h", GROUND, server(*LOOP)]),
    ("server/loop/", [r"(?:protocol|store)/.*", r"uring/io\.h", GROUND, server(*LOOP)]),
    ("server/exec/", [r"(?:protocol|store)/.*", GROUND, server(*CALL)]),
    ("server/call/", [r"(?:protocol|store)/.*", GROUND, server(*CALL)]),
    ("server/journal/", [r"(?:protocol|store)/.*", GROUND, server(*LOCKS)]),
    ("server/stripes/", [r"(?:protocol|store)/.*", GROUND, server(*TALK)]),
    ("server/clients/", [r"protocol/.*", GROUND, server(*FIGURES), r"store/memory/block\.h"]),
    ("server/config/", [r"protocol/.*", GROUND, r"store/keyspace\.h"]),
    ("server/report/", [r"protocol/.*", GROUND]),
    ("server/main.", [r"(?:protocol|store|server)/.*", r"uring/probe\.h"]),
    ("server/", [r"protocol/.*", GROUND, r"server/missing\.def"]),
]
# What waits for its first user, beside the tests.
AHEAD = {
    **dict.fromkeys(("journal_open", "journal_queue_count", "journal_listen", "journal_ignore", "journal_hold",
                     "journal_publish", "merge_open", "merge_next"),
                    "the journal's files, and the option that asks for them"),
    **dict.fromkeys(("tree_walk_next", "tree_walk_end", "tree_check", "pack_valid", "list_pack_valid", "intset_valid"), "snapshots"),
    "rdb_version_of": "fields that expire",
    "config_print": "kevy.conf is compared with what it prints; it is no part of the running server",
    "snapshot_writer_turn": "a simulated disk, where no thread writes",
    "response_size": "the replies of a script's commands",
    "response_walk": "the replies of a script's commands",
}
BANNED = ("strcpy", "strcat", "strncat", "sprintf", "vsprintf", "strtok", "atoi", "atol", "atoll", "gets", "alloca")
# store/ gets time and randomness as arguments and does no I/O.
BANNED_IN_STORE = ("time", "clock_gettime", "gettimeofday", "clock", "socket", "send", "recv", "read", "write", "open", "close",
                   "rand", "random", "getrandom", "printf", "fprintf", "pthread_create")
# The least number of assertions, static ones included, for every 1,000 lines of these folders. It may rise.
ASSERTIONS = {"store/": 20, "uring/": 20, "server/journal/": 20, "server/exec/": 20, "server/loop/": 20, "server/stripes/": 20}
FUNCTION_LINES = 100
PARAMETERS = 5
# System calls, whose parameters are the kernel's, and what stands for them in tests.
SYSTEM_CALLS = re.compile(r"(?:__wrap_|__real_)?(?:ring_sys_enter|mmap)")
LINE_COLUMNS = 125
# Spelt so that this file does not offend.
WORDS = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")
MACHINE_PATHS = re.compile(r"(?<![\w./])/(work|root|home)" + r"/\w")
CODE_LANGUAGES = (".c", ".h", ".def", ".py", ".txt", ".cmake", ".md", ".conf", ".service", ".socket", "")


# ---- The tree --------------------------------------------------------------------------------------------------------------


class Tree:
    def __init__(self, root):
        self.root = root
        self.paths = sorted(path for path in self.list() if os.path.isfile(os.path.join(root, path)))
        self.texts = {}

    def list(self):
        git = subprocess.run(["git", "-C", self.root, "ls-files", "-co", "--exclude-standard"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL) if os.path.exists(os.path.join(self.root, ".git")) else None
        if git and git.returncode == 0:
            return git.stdout.decode().splitlines()
        found = []
        for directory, names, files in os.walk(self.root):
            names[:] = [name for name in names if not name.startswith((".", "build")) and name != "__pycache__"]
            found += [os.path.relpath(os.path.join(directory, name), self.root) for name in files]
        return found

    def text(self, path):
        if path not in self.texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self.texts[path] = file.read()
        return self.texts[path]

    def sources(self, *prefixes):
        return [path for path in self.paths if path.endswith((".c", ".h")) and path.startswith(prefixes or ("",))]


def code(text):
    """The text without comments and the insides of literals; every line stays where it is."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.S)

    def blank(match):
        found = match.group(0)
        return found[0] + found[-1] if found[0] in "\"'" else re.sub(r"[^\n]", " ", found)

    return pattern.sub(blank, text)


def lines_with(pattern, text):
    for match in re.finditer(pattern, text, re.M):
        yield text.count("\n", 0, match.start()) + 1, match


# ---- The checks --------------------------------------------------------------------------------------------------------------


INCLUDE = r'^\s*#\s*include\s+"([^"]+)"'


def arrows(tree):
    """A folder includes only what its arrows point to, written from the root."""
    for path in tree.sources(*(room + "/" for room in ROOMS)):
        prefix, allowed = next(arrow for arrow in ARROWS if path.startswith(arrow[0]))
        own = [re.escape(prefix) + ".*"] if prefix.endswith("/") and prefix != "server/" else []
        for line, match in lines_with(INCLUDE, tree.text(path)):
            target = match.group(1)
            if not any(re.fullmatch(pattern, target) for pattern in own + allowed):
                yield path, line, "must not include %s" % target
        for line, match in lines_with(r"^\s*#\s*include\s+<(liburing|hiredis|systemd|openssl)[^>]*>", tree.text(path)):
            yield path, line, "kevy links nothing but libc: %s" % match.group(0)


def circle(graph):
    """The nodes of some circle of a graph {node: nodes}, or nothing."""
    left = dict(graph)
    while True:
        ends = [node for node in left if not any(other in left for other in left[node])]
        if not ends:
            return left
        for node in ends:
            del left[node]


def circles(tree):
    """Neither folders nor headers include each other in a circle; main.c stands above them all."""
    folders, headers = {}, {}
    for path in tree.sources(*(room + "/" for room in ROOMS)):
        if path == "server/main.c":
            continue
        targets = [match.group(1) for _, match in lines_with(INCLUDE, tree.text(path))]
        folder = os.path.dirname(path)
        folders.setdefault(folder, set()).update(os.path.dirname(target) for target in targets)
        folders[folder].discard(folder)
        if path.endswith(".h"):
            headers[path] = set(targets)
    for graph in (folders, headers):
        found = circle(graph)
        # What only includes the circle is no part of it.
        backward = circle({node: {other for other in found if node in found[other]} for node in found})
        if backward:
            yield sorted(backward)[0], 0, "a circle: %s" % ", ".join(sorted(backward))


def banned_calls(tree):
    """Calls that have no safe use are not used."""
    for path in tree.sources():
        if path.endswith("banned.h"):
            continue
        names = BANNED + (BANNED_IN_STORE if path.startswith("store/") else ())
        for line, match in lines_with(r"(?<![\w.>])(%s)\s*\(" % "|".join(names), code(tree.text(path))):
            yield path, line, "%s is banned here" % match.group(1)


def store_state(tree):
    """store/ has no globals: data of static storage is constant."""
    for path in tree.sources("store/"):
        for line, match in lines_with(r"^(?:static\s+)?(?!static|typedef|struct \w+\s*[;{]|enum|union|extern|return)[a-z_][\w \t*]*?[ *](\w+)"
                                      r"(\[[^\]]*\])*\s*(=[^;]*)?;", code(tree.text(path))):
            if "const" not in match.group(0):
                yield path, line, "a global: %s" % match.group(1)


def kernel_words(tree):
    """What io_uring's interface is made of is named in uring/ alone."""
    for path in tree.sources(*(room + "/" for room in ROOMS if room != "uring")):
        for line, match in lines_with(r"\b(?:IOSQE_|IORING_|io_uring_|prep_)\w+", code(tree.text(path))):
            yield path, line, "%s belongs into uring/" % match.group(0)


def stray_files(tree):
    """The top level is fixed."""
    for path in tree.paths:
        top = path.split("/")[0]
        if top not in TOP_LEVEL and not top.startswith("."):
            yield path, 0, "does not belong at the top level"
        if path.endswith((".orig", ".rej", ".o", ".swp", ".pyc", "~", ".log")):
            yield path, 0, "was left over"


DECLARATION = re.compile(r"^(?!typedef|static|struct \w+ \{|#|return|else)[a-z_][\w \t*]*?\b(\w+)\([^;{}]*\)\s*"
                         r"(?:__attribute__\s*\(\([^;]*\)\)\s*)?;", re.M)


def lone_headers(tree):
    """Every header is included by something that is no test."""
    included = {match.group(1) for path in tree.paths if not path.startswith("tests/") and path.endswith((".c", ".h"))
                for _, match in lines_with(INCLUDE, tree.text(path))}
    for path in tree.sources(*(room + "/" for room in ROOMS)):
        if path.endswith(".h") and path not in included:
            yield path, 1, "no source includes it"


def dead_declarations(tree):
    """What a header declares is defined, used in some other file, and by more than tests."""
    words = {path: re.findall(r"\w+", code(tree.text(path))) for path in tree.sources()}
    bodies = {path: code(tree.text(path)) for path in tree.sources() if path.endswith(".c")}
    rows = " ".join(tree.text(path) for path in tree.paths if path.endswith(".def"))
    for path in tree.sources(*(room + "/" for room in ROOMS)):
        if not path.endswith(".h"):
            continue
        text = code(tree.text(path))
        for match in DECLARATION.finditer(text):
            name = match.group(1)
            line = text.count("\n", 0, match.start()) + 1
            homes = [body for body, content in bodies.items()
                     if re.search(r"^[a-z_][^;={}]*\b%s\([^;{}]*\)\s*\{" % name, content, re.M)]
            users = [other for other, found in words.items() if other != path and other not in homes and name in found]
            if name in rows or words[path].count(name) > 1:
                continue
            if not homes:
                yield path, line, "%s is declared but nowhere defined" % name
            elif not users:
                yield path, line, "%s is used by no other file: it need not be in a header" % name
            elif (name not in AHEAD and all(user.startswith(("tests/", "bench/")) for user in users)
                  and sum(words[home].count(name) for home in homes) < 2):
                yield path, line, "%s is used by tests alone" % name


def long_functions(tree):
    """A function fits a screen or two."""
    for path in tree.sources():
        start, name = None, ""
        for number, line in enumerate(code(tree.text(path)).split("\n"), 1):
            if start is None and re.match(r"^[a-zA-Z_].*\)\s*\{$|^\{$", line):
                start, name = number, line
            elif start is None and re.match(r"^\s+.*\)\s*\{$", line) and not re.match(r"^\s+(if|for|while|switch|else|do)\b", line):
                start, name = number, line
            elif line == "}" and start is not None:
                if number - start > FUNCTION_LINES:
                    yield path, start, "%d lines: %s" % (number - start, name.strip()[:60])
                start = None


SIGNATURE = re.compile(r"^(?:[A-Za-z_][\w \t*]*[ *])?(\w+)\(", re.M)


def parameter_count(text, at):
    """How many there are between the parenthesis before `at` and the one that closes it."""
    depth, count = 1, 1
    while at < len(text) and depth:
        depth += (text[at] in "([{") - (text[at] in ")]}")
        count += text[at] == "," and depth == 1
        at += 1
    return count


def parameters(tree):
    """A function takes five things at most: what belongs together is a struct."""
    for path in tree.sources():
        text = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)[ ]?", "", code(tree.text(path)))
        for match in SIGNATURE.finditer(text):
            count = parameter_count(text, match.end())
            if count > PARAMETERS and not match.group(1).isupper() and not SYSTEM_CALLS.fullmatch(match.group(1)):
                yield path, text.count("\n", 0, match.start()) + 1, "%s has %d parameters" % (match.group(1), count)


def words(tree):
    """No notes to self, no paths of somebody's machine."""
    for path in tree.paths:
        if os.path.splitext(path)[1] not in CODE_LANGUAGES or "/corpus/" in path:
            continue
        text = tree.text(path)
        for line, match in lines_with(r"\b(%s)\b" % "|".join(WORDS), text):
            yield path, line, "%s" % match.group(1)
        for line, match in lines_with(MACHINE_PATHS.pattern, text):
            yield path, line, "a path of one machine: %s" % match.group(0)


def layout(tree):
    """Lines end where they should: no tabs, no trailing blanks, not too wide, a newline at the end."""
    for path in tree.sources():
        text = tree.text(path)
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line or line != line.rstrip():
                yield path, number, "a tab or a trailing blank"
            if len(line) > LINE_COLUMNS:
                yield path, number, "%d columns" % len(line)
        if text and not text.endswith("\n"):
            yield path, text.count("\n") + 1, "no newline at the end"


def first_comment(tree):
    """A file begins with a comment that says what it is for."""
    for path in tree.sources():
        if not re.match(r"/\*\s*\S", tree.text(path)):
            yield path, 1, "no first comment"


def last_words(tree):
    """No comment of several lines ends in one or two left-over words, nor in a line that only closes it."""
    for path in tree.sources():
        text = tree.text(path)
        for match in re.finditer(r"^[ ]*(/\*(?:[^*]|\*(?!/))*\*/)", text, re.M):
            lines = match.group(1).split("\n")
            last, before = lines[-1].replace("*/", "").strip(" *"), lines[-2].strip(" /*") if len(lines) > 1 else ""
            drawn = len(lines) > 1 and re.match(r"\s*/?\*\s{3,}", lines[-2])
            if before and not drawn and len(last.split()) <= 2:
                yield path, text.count("\n", 0, match.end()) + 1, "a comment ends in %s" % (last or "an empty line")


def formatting(tree):
    """clang-format has nothing to change."""
    if not shutil.which("clang-format"):
        yield ".clang-format", 0, "clang-format is not installed: apt-get install clang-format"
        return
    paths = tree.sources()
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=1"] + paths, cwd=tree.root,
                            stderr=subprocess.PIPE)
    for match in re.finditer(r"^([^:\s]+):(\d+):\d+: error: .*", result.stderr.decode(), re.M):
        yield match.group(1), int(match.group(2)), "clang-format would change it"
    if result.returncode != 0 and not re.search(r"error: ", result.stderr.decode()):
        yield ".clang-format", 0, result.stderr.decode().strip()[:200]


def command_list(tree):
    """Every command row stands in the README."""
    if "README.md" not in tree.paths:
        return
    readme = tree.text("README.md").upper()
    for path in tree.sources("server/"):
        for line, match in lines_with(r'\.name\s*=\s*"([a-z0-9_-]+)"(?P<rest>(?:[^;]|;(?!\n))*?\};)', tree.text(path)):
            before = tree.text(path)[: match.start()]
            row = before.rfind("COMMAND(")
            if row <= before.rfind("INFO_SECTION(") or ".container" in match.group("rest"):
                continue
            if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(match.group(1).upper()), readme):
                yield path, line, "%s is not in README.md" % match.group(1).upper()


def option_list(tree):
    """Every option stands in kevy.conf, unless it is hidden."""
    if "kevy.conf" not in tree.paths or "server/config/options.def" not in tree.paths:
        return
    conf, rows = tree.text("kevy.conf"), tree.text("server/config/options.def")
    hidden = set(re.findall(r'^OPTION\(\s*\w+,\s*\w+,\s*"([^"]+)"(?:(?!^[A-Z]+\().)*\.hidden = true', rows, re.M | re.S))
    for line, match in lines_with(r'^OPTION\(\s*\w+,\s*\w+,\s*"([^"]+)"', rows):
        if match.group(1) not in hidden and not re.search(r"^#?\s*%s\b" % re.escape(match.group(1)), conf, re.M):
            yield "server/config/options.def", line, "%s is not in kevy.conf" % match.group(1)


def unit_tests(tree):
    """Every source file has its unit test, at its own path below tests/unit."""
    for path in tree.sources(*(room + "/" for room in ROOMS)):
        test = "tests/unit/" + path
        if path.endswith(".c") and test not in tree.paths:
            yield path, 1, "has no %s" % test


def assertions(tree):
    """What must hold is asserted, often enough."""
    for folder, least in sorted(ASSERTIONS.items()):
        paths = tree.sources(folder)
        lines = sum(tree.text(path).count("\n") for path in paths)
        count = sum(len(re.findall(r"\b(?:debug_assert|assert|_Static_assert)\s*\(", code(tree.text(path)))) for path in paths)
        if count * 1000 < least * lines:
            yield folder, 0, "%d assertions in %d lines, %.1f a thousand: at least %d" % (count, lines, count * 1000 / lines, least)


CHECKS = (arrows, circles, banned_calls, store_state, kernel_words, stray_files, lone_headers, dead_declarations, long_functions, parameters, words, layout, first_comment,
          last_words, formatting, command_list, option_list, unit_tests, assertions)


def check(root):
    tree = Tree(root)
    if not tree.sources("uring/", "protocol/", "store/", "server/"):
        sys.exit("tidy found no source to look at in %s" % root)
    return {function.__name__: sorted(set(function(tree))) for function in CHECKS}


# ---- The canary ----------------------------------------------------------------------------------------------------------------

CLEAN = {
    "uring/clean.h": "/* clean.h - nothing to complain about. */\n#include <stdint.h>\n\n_Static_assert(sizeof(int) == 4, \"as here\");\n",
    "uring/clean.c": "/* clean.c - takes its word. */\n#include \"uring/clean.h\"\n\n_Static_assert(sizeof(int) == 4, \"as there\");\n",
    "tests/unit/uring/clean.c": "/* What clean.c takes. */\n#include <stdint.h>\n",
    "server/commands/clean.c": "/* clean.c - has a test. */\n#include <stdint.h>\n",
    "tests/unit/server/commands/clean.c": "/* What clean.c does. */\n#include <stdint.h>\n",
}
OFFENCES = {
    "arrows": {"protocol/a.c": '/* a.c - reaches up. */\n#include "server/loop/conn.h"\n'},
    "circles": {"store/a.h": '/* a.h - goes round. */\n#include "store/b.h"\n', "store/b.h": '/* b.h - too. */\n#include "store/a.h"\n'},
    "circles, folders": {"store/a.h": '/* a.h - goes round. */\n#include "store/index/b.h"\n',
                         "store/index/b.h": '/* b.h - too. */\n#include "store/c.h"\n'},
    "kernel_words": {"server/loop/m.c": "/* m.c - io_uring_enter. */\nint m(unsigned flags) {\n    return flags & IORING_CQE_F_MORE;\n}\n"},
    "arrows, uring": {"server/loop/a.c": '/* a.c - knows how the kernel is spoken to. */\n#include "uring/ring.h"\n'},
    "banned_calls": {"store/b.c": "/* b.c - copies. */\nvoid b(char *d, char *s) {\n    strcpy(d, s);\n}\n"},
    "store_state": {"store/c.c": "/* c.c - remembers. */\nstatic int counter = 0;\n"},
    "stray_files": {"notes.txt": "left here\n"},
    "lone_headers": {"store/d.h": "/* d.h - waits in vain. */\n#include <stdint.h>\n"},
    "dead_declarations": {"store/d.h": "/* d.h - promises. */\nvoid d_promise(int a);\n"},
    "dead_declarations, tests": {"store/d.h": "/* d.h - is tried. */\nint d_tried(int a);\n",
                                 "store/d.c": "/* d.c - does. */\nint d_tried(int a) {\n    return a;\n}\n",
                                 "tests/d.c": "/* d.c - tries. */\nint main(void) {\n    return d_tried(0);\n}\n"},
    "long_functions": {"uring/e.c": "/* e.c - goes on. */\nvoid e(void) {\n" + "    e();\n" * (FUNCTION_LINES + 5) + "}\n"},
    "parameters": {"uring/e.c": "/* e.c - wants all. */\nint e(int a, int b, int c,\n      int d, int f, int g) {\n    return a;\n}\n"},
    "parameters, inline": {"uring/e.c": "/* e.c - is at once. */\nstatic inline __attribute__((always_inline)) int e(int a, int (*b)(int, int), "
                                        "int c, int d, int f,\n                                                   int g) {\n    return a;\n}\n"},
    "words": {"server/f.c": "/* f.c - %s: later. */\n" % WORDS[0]},
    "layout": {"server/g.c": "/* g.c - trails. */ \n"},
    "first_comment": {"server/h.c": "int h(void);\n"},
    "last_words": {"server/i.c": "/* i.c - says more than there is room for in a line, and then a\n * word. */\n"},
    "last_words, none": {"server/i.c": "/* i.c - says what it has to say, but closes the comment later.\n */\n"},
    "formatting": {"server/i.c": "/* i.c - sprawls. */\nint   i( void );\n"},
    "command_list": {"server/commands/j.c": '/* j.c - hides. */\nCOMMAND(hidden) = {.name = "hidden", .arity = 1};\n',
                     "README.md": "nothing\n"},
    "option_list": {"server/config/options.def": 'OPTION(BOOL, hidden, "hidden-option", "no", ANY, "x")\n', "kevy.conf": "port 1\n"},
    "assertions": {"store/l.c": "/* l.c - is sure of itself, assert(1) or not. */\n" + "\n".join(
        "_Static_assert(%d, \"so it is\");" % line for line in range(1, 4)) + "\nint l;" * 200 + "\n"},
    "unit_tests": {"server/commands/k.c": "/* k.c - nobody looks. */\n", "tests/unit/server/k.c": "/* Of another k.c. */\n"},
}


class Planted(Tree):
    """A tree of one file, which lies nowhere."""

    def __init__(self, path, text):
        self.paths, self.texts = [path], {path: text}


def forbidden_arrows():
    """For each folder, a file of each folder that it must not include: (where, what)."""
    folders = [prefix for prefix, _ in ARROWS if prefix.endswith("/") and prefix != "server/"]
    for prefix in folders + ["server/"]:
        patterns = next(allowed for start, allowed in ARROWS if start == prefix)
        for other in folders:
            target = other + "planted.h"
            if other != prefix and not any(re.fullmatch(pattern, target) for pattern in patterns):
                yield prefix + "a.c", target


def canary():
    """Every check must find what is planted for it, and nothing in a clean tree."""
    failed = [function.__name__ for function in CHECKS if function.__name__ not in OFFENCES]
    planted = list(forbidden_arrows())
    failed += ["%s including %s" % arrow for arrow in planted if not list(arrows(Planted(arrow[0], '#include "%s"\n' % arrow[1])))]
    for name, files in [("", {})] + sorted(OFFENCES.items()):
        root = tempfile.mkdtemp(prefix="kevy-tidy-")
        try:
            shutil.copy(os.path.join(ROOT, ".clang-format"), root)
            for path, text in sorted(CLEAN.items()) + sorted(files.items()):
                os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            found = check(root)
            if (name and not found[name.split(",")[0]]) or (not name and any(found.values())):
                failed.append(name or "the clean tree: %s" % found)
        finally:
            shutil.rmtree(root)
    if failed:
        sys.exit("tidy does not see: %s" % ", ".join(failed))
    print("ok: %d planted offences found" % (len(OFFENCES) + len(planted)))


def main():
    if sys.argv[1:] == ["--canary"]:
        canary()
        return
    found = check(ROOT)
    for name, offences in found.items():
        for path, line, text in offences:
            print("%s:%d: %s (%s)" % (path, line, text, name))
    count = sum(len(offences) for offences in found.values())
    if count:
        sys.exit("%d offences" % count)
    print("ok: %s" % ", ".join(found))


if __name__ == "__main__":
    main()
