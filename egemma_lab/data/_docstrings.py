"""From a docstring to the one sentence that says what the function does."""

import re

MIN_CHARS, MAX_CHARS, MIN_WORDS = 15, 300, 3
_START = 4000  # characters looked at; a megabyte of docstring must not cost minutes of pattern matching

# What starts something other than prose, line by line: field lists, doctests, directives, bullets, headings.
_NOT_PROSE = re.compile(
    r"""[:@\\](param|type|arg|return|rais|rtype|keyword|yield|throws|meta|attr|ivar|cvar|var|author|since|see|group)
      | >>>|\.\.\s|\.\.$|[-*+•]\s|\d+[.)]\s|```|~~~|\||\+[-=]|[=\-~^"'#*_]{3,}
      | (args?|arguments?|parameters?|params|inputs?|outputs?|returns?|raises?|yields?|examples?|notes?
         |usage|attributes?|keyword\s+arguments|keywords?|see\s+also|references?|warnings?)\s*:?$
      | (args|arguments|parameters|params|returns?|raises|yields|usage|e\.?g\.?)\s*:\s""",
    re.VERBOSE | re.IGNORECASE,
)
# A signature as first line, as NumPy and C extensions write it: `dot(a, b, out=None)`, `S.find(sub) -> int`.
_SIGNATURE = re.compile(r"^[`*]*(async\s+|def\s+)?[A-Za-z_][\w.]*\(.*\)[`*]*\s*(->|--|=>|:|$)", re.DOTALL)
# An argument's description without a heading above it: `name: what`, `name (int): what`.
_FIELD = re.compile(r"[*`]*[a-z_]\w*[*`]*\s*(\(.*\)\s*)?:(\s|$)")
_BOILERPLATE = re.compile(
    r"""^(see\s+(?!whether|if)|same\s+as\s|alias\s+(for|of)|\W*deprecated|todo\b|fixme\b|xxx\b|notes?:|warning:|example\b
      |overrid|inherited|docstring|copied\s+from|not\s+implemented|(this\s+is\s+)?(an?\s+)?internal\s+(use|api|only)
      |(initiali[sz]e|constructs?|creates?|returns?|instantiates?)\s+(self|an?\s+instance|the\s+(instance|object|class|value))\.?$
      |(implements?|implementation\s+of|wrapper\s+(for|around)|refer\s+to|check)\s+\S+\.?$
      |(private|abstract|internal|helper|utility|convenience|magic|dunder)\s+(method|function|helper)\.?$)
      |see\s+(the\s+)?(base|parent|super)\s*-?class|base\s+class\s+(method|for\s+doc)|method\s+generated\s+by
      |do\s+not\s+(use|call)\s+(this|directly)|for\s+internal\s+use|lorem\s+ipsum|copyright
      |\b(is|are|been)\s+deprecated""",
    re.VERBOSE | re.IGNORECASE,
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|fig|eq|no|nr|approx|resp|dr|mr|mrs|st|al|sec|ref|viz|incl|max|min|dept|"
    r"[A-Za-z])\.)$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?。][\"')\]]*(?=\s+[A-Z0-9\"'(\[`<_*:])")

_MARKUP = [
    (re.compile(r"\[([^\][]+)\]\((?:[^()\s]|\([^()]*\))*\)"), r"\1"),  # [text](target)
    (re.compile(r":[A-Za-z][\w.+:-]*:`[~!]?([^`<]*?)\s*<[^`>]*>`"), r"\1"),  # :role:`text <target>`
    (re.compile(r":[A-Za-z][\w.+:-]*:`~[^`]*?\.?([^`.]*)`"), r"\1"),  # :role:`~a.b.c`
    (re.compile(r":[A-Za-z][\w.+:-]*:`!?([^`]*)`"), r"\1"),  # :role:`a.b`
    (re.compile(r"\[`([^`]*)`\](\[[^\]]*\])?"), r"\1"),  # [`name`][target]
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`_{0,2}"), r"\1"),  # `text <target>`_
    (re.compile(r"`~[^`]*?\.?([^`.]*)`"), r"\1"),  # `~a.b.c`
    (re.compile(r"``([^`]*)``"), r"\1"),
    (re.compile(r"`([^`]*)`_{0,2}"), r"\1"),
    (re.compile(r"\\N\{[A-Z ]+\}"), ""),
    (re.compile(r"\[\d+\]_?"), ""),  # footnote
    (re.compile(r"\*\*([^*\s](?:[^*]*[^*\s])?)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])"), r"\1"),
    (re.compile(r"\|([A-Za-z][\w .-]*)\|"), r"\1"),  # |substitution|
    (re.compile(r"[`´]+"), ""),
    (re.compile(r"\s+"), " "),
]


def first_sentence(docstring):
    """The first sentence of a docstring as plain text, or None where it says nothing one could search for.

    Takes a docstring already dedented (`inspect.cleandoc`). A first paragraph that only repeats the signature
    is passed over. Markup (reST roles, backticks, Markdown links, emphasis) is taken off. None for
    boilerplate ("See base class"), field lists, doctests and headings, for fewer than 3 words, and outside 15
    to 300 characters: shorter says nothing, longer is no sentence.

    >>> first_sentence("Return the :class:`~json.JSONDecoder` for ``name``.  Raises KeyError if unknown.")
    'Return the JSONDecoder for name.'
    >>> first_sentence("dot(a, b, out=None)\\n\\nDot product of two arrays.")
    'Dot product of two arrays.'
    >>> first_sentence("See base class.") is None
    True
    """
    start = docstring.strip()[:_START]
    for paragraph in re.split(r"\n[ \t]*\n", start, maxsplit=3)[:3]:
        if not _SIGNATURE.match(paragraph.strip()):
            return _accept(_sentence(_clean(_prose(paragraph))))
    return None


def _prose(paragraph):
    """The lines of a paragraph before anything that is no prose."""
    lines = []
    for line in paragraph.strip().split("\n"):
        line = line.strip()
        if _NOT_PROSE.match(line):
            # a line drawn under the first one makes that one a heading, not a sentence
            return "" if len(lines) == 1 and re.fullmatch(r"[=\-~^\"'#*_]{3,}", line) else " ".join(lines)
        if _FIELD.match(line) and (lines or "(" in line):
            break
        lines.append(line)
    return " ".join(lines)


def _clean(text):
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text.strip()


def _sentence(text):
    for end in _SENTENCE_END.finditer(text):
        if not _ABBREVIATION.search(text[: end.end()].rstrip("\"')]")):
            return text[: end.end()]
    return text


def _accept(text):
    if not MIN_CHARS <= len(text) <= MAX_CHARS or not text.isprintable():  # lone surrogates are not printable
        return None
    if len(re.findall(r"[^\W\d_]+", text)) < MIN_WORDS or len(text.split()) < MIN_WORDS:
        return None
    if _BOILERPLATE.search(text) or "://" in text.split(" ", 1)[0] or _NOT_PROSE.match(text):
        return None
    letters = sum(character.isalpha() or character.isspace() for character in text)
    return text if letters >= 0.6 * len(text) else None
