"""Every command that a server has, in the forms that its own COMMAND DOCS tells of.

Commands are drawn from there, so that one that is added is drawn without a word here. Their keys are few: those of the oracle's
families, those of a type's own for its commands more often than not.
"""
import itertools
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "oracle"))
import families  # noqa: E402
import streams  # noqa: E402

OF_GROUP = {b"hash": families.HASHES, b"set": families.SETS, b"sorted-set": families.ZSETS, b"list": families.LISTS, b"geo": families.GEOS,
            b"stream": streams.STREAMS + streams.UNDISTURBED, b"hyperloglog": families.HLLS,
            b"string": [b"a", b"k1", b"k2", b"{tag}x"], b"bitmap": [b"k3", b"k1"]}
OFTEN = {b"string": 12, b"bitmap": 6, b"hash": 14, b"set": 14, b"sorted-set": 14, b"list": 14, b"stream": 20, b"geo": 6, b"generic": 10, b"transactions": 6,
         b"connection": 3, b"server": 2, b"cluster": 0.3}
STREAM_IDS = (b"id", b"start", b"end", b"last-id", b"lastid", b"max-deleted-entry-id", b"threshold", b"last-delivered-id")
COUNTS = (b"numkeys", b"numfields", b"numvertices", b"count-of-vertices")


def walk(arguments):
    for argument in arguments or ():
        yield argument
        yield from walk(argument.get(b"arguments"))


def forms_of(docs):
    """[(name, group, arguments)] of all commands and subcommands; `docs` is what COMMAND DOCS replies in RESP3."""
    forms = []
    for name, about in docs:
        subcommands = about.get(b"subcommands")
        if subcommands:
            forms += forms_of(subcommands)
        else:
            forms.append((name, about.get(b"group"), about.get(b"arguments") or []))
    return forms


def words_of(docs):
    """Names of commands and subcommands, and the words that their options are given by, in upper case."""
    words = set()
    for name, _, arguments in forms_of(docs):
        words.update(name.upper().split(b"|"))
        for argument in walk(arguments):
            if argument.get(b"token"):
                words.update(argument.get(b"token").upper().split())
    return words


class Forms:
    """What of a server's COMMAND DOCS is needed to draw from it, worked out once."""

    def __init__(self, docs):
        self.all, self.words = forms_of(docs), words_of(docs)
        self.listed = sorted(self.words)
        groups = [group for _, group, _ in self.all]
        self.weights = list(itertools.accumulate(OFTEN.get(group, 1) / groups.count(group) for group in groups))


class Grammar:
    """Draws commands. `draws` is a generator of the oracle, which knows values, numbers and patterns."""

    def __init__(self, forms, draws):
        self.forms, self.draws, self.dice, self.group = forms, draws, draws.random, None

    def command(self):
        name, self.group, arguments = self.dice.choices(self.forms.all, cum_weights=self.forms.weights)[0]
        words = name.upper().split(b"|")
        for argument in arguments:
            words += self.draw(argument)
        return self.counted(words)

    def draw(self, argument):
        """The words of one argument. What tells how many others there are is left open: counted() sees to it."""
        dice, flags, kind = self.dice, argument.get(b"flags") or [], argument.get(b"type")
        if "optional" in flags and dice.random() < 0.6:
            return []
        times = dice.choice((1, 1, 2, 3, 6)) if "multiple" in flags or "multiple_token" in flags else 1
        token, words = argument.get(b"token"), []
        for i in range(times):
            if token and (i == 0 or "multiple_token" in flags) and kind != b"pure-token":
                words += token.split()
            if kind == b"oneof":
                words += self.draw(dice.choice(argument.get(b"arguments")))
            elif kind == b"block":
                for part in argument.get(b"arguments"):
                    words += self.draw(part)
            elif kind == b"pure-token":
                words += (token or b"").split()
            else:
                words.append(self.word(kind, argument.get(b"name")))
        return words

    def word(self, kind, name):
        draws, dice = self.draws, self.dice
        if dice.random() < 0.02:
            return dice.choice(self.forms.listed)
        if name in COUNTS:
            return None
        if kind == b"key":
            return dice.choice(OF_GROUP.get(self.group, families.KEYS)) if dice.random() < 0.85 else draws.any()
        if kind == b"integer":
            if name == b"cursor":
                return b"0"
            if name in (b"seconds", b"milliseconds"):
                return draws.pick(b"1", b"2", b"5", b"50", b"1000", b"100000", draws.integer())
            return draws.small_count() if dice.random() < 0.7 else draws.integer()
        if kind == b"double":
            if name == b"timeout":
                return draws.timeout()
            return draws.pick(draws.score(), draws.float(), draws.longitude(), draws.latitude(), draws.radius())
        if kind == b"unix-time":
            return draws.pick(b"1", b"2000000000", b"4102444800000", b"%d" % self.soon(name), draws.integer())
        if kind == b"pattern":
            return draws.pattern()
        if self.group == b"stream":
            return self.word_of_stream(kind, name)
        if name in (b"min", b"max", b"start", b"stop"):
            return draws.pick(draws.score_bound(), draws.lex_bound(), draws.index())
        return draws.member() if dice.random() < 0.8 else draws.value()

    def word_of_stream(self, kind, name):
        draws = self.draws
        if name.replace(b"_", b"-") in STREAM_IDS:
            return draws.pick(draws.new_id(), draws.new_id(), draws.id(), draws.id_bound(), b">", b"$", b"*")
        if name in (b"group", b"groupname"):
            return draws.group()
        if name in (b"consumer", b"consumername"):
            return draws.consumer()
        if name == b"min-idle-time":
            return draws.pick(b"0", b"0", b"1", b"1000", draws.integer())
        return draws.member() if self.dice.random() < 0.8 else draws.value()

    def soon(self, name):
        """A time within the next seconds, in the unit that the argument's name says."""
        ms = self.draws.now_ms() + self.dice.randrange(-100, 3000)
        return ms if b"milli" in name else ms // 1000

    def counted(self, words):
        """How many words follow the open place, until one that is an option's: that is meant to be the count."""
        for i, word in enumerate(words):
            if word is None:
                after = words[i + 1 :]
                count = next((n for n, one in enumerate(after) if one in self.forms.words and n), len(after))
                words[i] = b"%d" % (count if self.dice.random() < 0.9 else self.dice.choice((0, 1, 2, 3, -1, 1000)))
        return words
