"""Functions of one source file, read from its syntax tree; nothing of the file is ever run."""

import ast
import inspect
import re
import warnings
from dataclasses import dataclass

from egemma_lab.data._docstrings import first_sentence

MAX_TEXT = 1500  # characters of code kept of one function: about 400 tokens, what a function is recognised by
# All that the parser answers to text that is no Python, hostile text (deep nesting, null bytes) among it.
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
_BLOCKS = (ast.Module, ast.If, ast.Try, ast.TryStar, ast.ExceptHandler, ast.With, ast.For, ast.While)
_FIELDS = ("body", "handlers", "orelse", "finalbody")
_GENERATED = re.compile(
    r"auto-?(matically\s+)?generated|@generated|do\s+not\s+(edit|modify)|generated\s+(by|from|with|using)\b",
    re.I,
)


@dataclass(slots=True)
class Function:
    module: str
    name: str  # within the module: "Class.method"
    anchor: str | None  # None: nothing to search for it by, still good as somebody's negative
    text: str  # signature and body, docstring taken out

    @property
    def key(self):
        """What makes two anchors the same: the words, whatever their case, spacing and full stop."""
        return " ".join(self.anchor.casefold().split()).rstrip(".!:; ") if self.anchor else None


def read_functions(source, module):
    """Functions and methods of a module's source text, in the order they stand there.

    `source` is str. The code keeps its formatting and comments; decorators are left out, methods stand under
    a line `class Name:`, local functions belong to the function around them. Left out are functions without
    a body of their own (`pass`, `...`, `return self`, `raise NotImplementedError`). No functions at all are
    taken from a text that Python cannot parse or that says it was generated.

    >>> source = 'class A:\\n  def f(self):\\n    "Say what f does."\\n    return 1 + 1\\n'
    >>> [function] = read_functions(source, "m")
    >>> function.name, function.anchor
    ('A.f', 'Say what f does.')
    >>> print(function.text)
    class A:
        def f(self):
          return 1 + 1
    """
    if "def " not in source or _GENERATED.search(source[:1500]):
        return []
    # the parser's idea of a line; splitlines would also cut at form feeds
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in other people's files
            tree = ast.parse(source)
    except _UNREADABLE:
        return []
    lines = source.split("\n")
    functions = []
    for node, classes in _definitions(tree):
        text = _code(node, classes, lines)
        if text is not None:
            docstring = _docstring(node)
            anchor = first_sentence(inspect.cleandoc(docstring.value.value)) if docstring else None
            functions.append(Function(module, ".".join([*classes, node.name]), anchor, text))
    return functions


def _definitions(tree):
    """Every function that is no other function's local, with the names of the classes around it."""
    waiting = [(tree, ())]
    while waiting:  # a stack, since nesting is the file's to choose
        node, classes = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, classes
            continue
        if isinstance(node, ast.ClassDef):
            classes = (*classes, node.name)
        elif not isinstance(node, _BLOCKS):
            continue
        children = [child for field in _FIELDS for child in getattr(node, field, ())]
        waiting += [(child, classes) for child in reversed(children)]


def _docstring(node):
    first = node.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return first
    return None


def _code(node, classes, lines):
    docstring = _docstring(node)
    body = node.body[1:] if docstring else node.body
    if all(_is_empty(statement) for statement in body):
        return None
    kept = lines[node.lineno - 1 : node.end_lineno]
    if docstring:
        line = lines[docstring.lineno - 1]
        if line[: docstring.col_offset].strip() or body[0].lineno <= docstring.end_lineno:
            return None  # code on the docstring's own line: rare, and not worth cutting lines apart
        start, end = docstring.lineno - node.lineno, docstring.end_lineno - node.lineno
        while not kept[end + 1].strip():  # ends at the body's first statement
            end += 1
        while not kept[start - 1].strip():  # ends at the signature
            start -= 1
        del kept[start : end + 1]
    indent, shift = " " * node.col_offset, "    " * bool(classes)
    kept = [shift + line.removeprefix(indent).rstrip() if line.strip() else "" for line in kept]
    if classes:
        kept.insert(0, f"class {classes[-1]}:")
    return _capped(kept)


def _is_empty(statement):
    if isinstance(statement, ast.Raise):
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    if isinstance(statement, ast.Return | ast.Expr):
        return statement.value is None or isinstance(statement.value, ast.Constant | ast.Name)
    return isinstance(statement, ast.Pass)


def _capped(lines):
    """Whole lines up to the limit, at least the beginning of the first."""
    text = "\n".join(lines)
    if len(text) > MAX_TEXT:
        text = text[: text.rfind("\n", 0, MAX_TEXT + 1)] if "\n" in text[: MAX_TEXT + 1] else text[:MAX_TEXT]
    return text
