import ast
import json
import os
import subprocess
import sys
import textwrap

import pytest

from egemma_lab.data import _mining
from egemma_lab.data._docstrings import first_sentence
from egemma_lab.data._functions import MAX_TEXT, read_functions
from egemma_lab.data._hard_negatives import most_similar_others
from egemma_lab.data._source_files import find_packages, read_source, stable_hash
from egemma_lab.data.python_docs import COLUMNS, SPLITS, load_python_docs


def write_package(folder, name, verbs=("opens", "closes", "reads")):
    """A package of one module with one documented function a verb, each with words of its own."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    functions = [
        f'def {verb}_{name}(handle, mode):\n    """Say what {verb} the {name} handle."""\n'
        f"    {verb}_state = handle.{verb}(mode, {name!r})\n    return {verb}_state\n"
        for verb in verbs
    ]
    (folder / name / "core.py").write_text("\n\n".join(functions))


@pytest.fixture
def site(tmp_path):
    """A folder like site-packages with 40 small packages."""
    for number in range(40):
        write_package(tmp_path / "site", f"pack_{chr(97 + number % 26)}{number}x")
    return tmp_path / "site"


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Compute x.\nUses e.g. Newton's way. And more.", "Compute x. Uses e.g. Newton's way."),
        ("Load a file, e.g. a table, from disk. Then stop.", "Load a file, e.g. a table, from disk."),
        ("Return the\n    :py:class:`~a.b.Thing`   for *this* key.", "Return the Thing for this key."),
        ("Apply `fn <http://x.y>`_ to [each](url) of ``them``", "Apply fn to each of them"),
        ("Apply *args and **kwargs to it all", "Apply *args and **kwargs to it all"),
        (
            "zeros(shape, dtype=float) -> array\n\nReturn a new array of zeros.",
            "Return a new array of zeros.",
        ),
        ("Count the words of a text.\n:param text: the text", "Count the words of a text."),
        ("Count the words of a text\n>>> count('a')\n1", "Count the words of a text"),
        ("Test whether the address is private.", "Test whether the address is private."),
        ("Étend la fenêtre à tout l'écran.", "Étend la fenêtre à tout l'écran."),
        ("See base class.", None),
        ("See `Other.method` for details.", None),
        ("Return self.", None),
        ("Initialize self.  See help(type(self)) for accurate signature.", None),
        ("TODO write something here", None),
        ("Deprecated since version two.", None),
        ("[DEPRECATED] Get the address of it.", None),
        ("The thing.Part class is deprecated.", None),
        ("Return the topmost `~.axes.Axes` here.", "Return the topmost Axes here."),
        (":param x: the thing to count", None),
        ("labels (`Tensor` of shape `(n,)`, *optional*):\n    Labels for the loss.", None),
        ("Parameters\n----------\nx : int", None),
        ("A heading of words\n==================\nText.", None),
        ("Run fast.", None),
        ("self // other", None),
        ("x == y -> [0, 1, 2, 3, 4, 5] % 2 == 0", None),
        ("No sentence " + "goes on like this " * 20, None),
        ("A lone surrogate \ud800 in here", None),
        ("A bell \x07 in the text", None),
        ("", None),
    ],
)
def test_first_sentence(docstring, sentence):
    assert first_sentence(docstring) == sentence


@pytest.mark.parametrize("text", ["`" * 10**6, "**a " * 10**5, ":a" * 10**5, "[" * 10**6, "a(" * 10**5])
def test_a_hostile_docstring_costs_no_time(text):
    first_sentence(text)  # the timeout of the test session is the assertion


def functions_of(source):
    return read_functions(textwrap.dedent(source), "module")


def test_the_positive_is_the_code_without_docstring_and_decorator():
    [function] = functions_of('''
        class Box:
            class Lid:
                @property
                def weight(self,
                           unit="g"):

                    """Weight of the lid in the unit."""

                    # in grams
                    text = """
            keeps its own indentation"""
                    return self.w * text
        ''')
    assert function.name == "Box.Lid.weight"
    assert function.anchor == "Weight of the lid in the unit."
    assert function.text.splitlines()[:4] == [
        "class Lid:",
        "    def weight(self,",
        '               unit="g"):',
        "        # in grams",
    ]
    ast.parse(function.text)


def test_every_kind_of_function_is_found_and_no_local_one():
    found = functions_of("""
        try:
            async def fetch(url):
                "Fetch the page behind a url."
                def local(x):
                    "A local function is no result."
                    return x + 1
                return await local(url)
        except ImportError:
            if True:
                def fetch_slowly(url):
                    "Fetch the page without hurry."
                    return get(url)
        for name in names:
            with thing:
                def looped(x): return x + 2
        """)
    assert [(function.name, function.anchor) for function in found] == [
        ("fetch", "Fetch the page behind a url."),
        ("fetch_slowly", "Fetch the page without hurry."),
        ("looped", None),
    ]


def test_functions_without_a_body_are_left_out():
    assert not functions_of('''
        def a(x):
            """Say something about a."""
        def b(x):
            """Say something about b."""
            raise NotImplementedError("b")
        def c(x):
            """Say something about c."""
            return None
        def d(x): ...
        def e(x): "Say something about e."; return x * 2
        ''')


def test_line_numbers_survive_form_feeds_and_carriage_returns():
    source = 'a = 1\x0c\r\ndef f(x):\r\n    """Double the number x."""\r    s = "\u2028"\n    return x * 2\n'
    [function] = read_functions(source, "module")
    assert function.text == 'def f(x):\n    s = "\u2028"\n    return x * 2'


def test_long_functions_are_cut_at_a_line():
    lines = "\n".join(f"    total += values[{number}]" for number in range(500))
    [function] = functions_of(f'def f(values):\n    """Sum up all the values."""\n{lines}\n')
    assert MAX_TEXT - 40 < len(function.text) <= MAX_TEXT
    assert function.text.endswith("]")


@pytest.mark.parametrize(
    "source",
    [
        "def f(:\n",
        "def f(): \x00",
        "def f(): return " + "(" * 1000,
        "def f(): return " + "-" * 100_000 + "1",
        "def f(): return a" + ".b" * 100_000,
        "# This file is auto-generated, do not edit\ndef f(x):\n    'Say what f is.'\n    return x + 1",
    ],
)
def test_unreadable_and_generated_sources_have_no_functions(source):
    assert read_functions(source, "module") == []


def test_hard_negatives_are_near_but_no_copies():
    functions = functions_of('''
        def read_rows(path):
            """Read the rows of a table."""
            with open(path) as stream:
                return [row.split(",") for row in stream]
        def read_columns(path):
            """Read the columns of a table."""
            with open(path) as stream:
                return list(zip(*[row.split(",") for row in stream]))
        def send_mail(server, address):
            """Send a mail to the address."""
            server.login()
            return server.post(address, body="hello")
        class Copy:
            def read_rows(path):
                """Read rows from here too."""
                with open(path) as stream:
                    return [row.split(",") for row in stream]
        ''')
    # read_columns in both cases: the copy is more similar, and would be right
    assert most_similar_others(functions, [0, 3]) == [1, 1]
    assert most_similar_others(functions[:1], [0]) == [None]
    assert most_similar_others([], []) == []


def test_a_lonely_function_gets_its_negative_from_the_package(tmp_path):
    package = tmp_path / "alone"
    package.mkdir()
    (package / "__init__.py").write_text('def one(x):\n    """Add one to the x."""\n    return x + 1\n')
    (package / "two.py").write_text('def two(x):\n    """Add two to the x."""\n    return x + two(1)\n')
    rows = {row["name"]: row for row in load_python_docs("all", paths=[package])}
    assert rows["one"]["negative"] == "def two(x):\n    return x + two(1)"
    assert (rows["two"]["module"], rows["one"]["module"]) == ("alone.two", "alone")


def test_nothing_that_is_found_is_run(tmp_path):
    marker = tmp_path / "was_here"
    write_package(tmp_path / "site", "hostile")
    evil = f'open({str(marker)!r}, "w").close()\n'
    for name in ("__init__.py", "core.py", "setup.py", "conftest.py", "sitecustomize.py"):
        path = tmp_path / "site" / "hostile" / name
        path.write_text(evil + (path.read_text() if path.exists() else ""))
    (tmp_path / "site" / "json.py").write_text(evil)
    (tmp_path / "site" / "evil.pth").write_text(f"import os; {evil}")
    os.mkfifo(tmp_path / "site" / "hostile" / "pipe.py") if hasattr(os, "mkfifo") else None
    assert len(load_python_docs("all", paths=[tmp_path / "site"])) == 3
    assert not marker.exists()


def test_what_is_no_code_is_passed_over(tmp_path):
    text = (
        'def f(x):\n    """Say something about {0}."""\n    return x.{0}\n\ndef g(x):\n    return [x, {0}]\n'
    )
    for place in ("good", "tests", "good/tests", "good/_vendor", "not-a-name", "good/__pycache__"):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "inner.py").write_text(text.format(place.replace("/", "_").replace("-", "_")))
    for name in ("test_it.py", "thing_pb2.py", "conftest.py"):
        (tmp_path / "good" / name).write_text(text.format("name"))
    (tmp_path / "good" / "latin.py").write_bytes(text.format("latin").encode() + b"# \xe9")
    (tmp_path / "good" / "marked.py").write_bytes(b"\xef\xbb\xbf" + text.format("marked").encode())
    (tmp_path / "good" / "long.py").write_text(text.format("long") + "#" * 1_000_001)
    assert set(load_python_docs("all", paths=[tmp_path])["module"]) == {"good.inner", "good.marked"}
    assert read_source(tmp_path / "gone.py") is None


def test_columns_types_and_uniqueness(site):
    pairs = load_python_docs("all", paths=[site])
    assert tuple(pairs.column_names) == COLUMNS
    assert len(pairs) == 120
    assert len(set(pairs["anchor"])) == len(set(pairs["positive"])) == 120
    for row in pairs:
        assert row["anchor"] not in row["positive"]
        assert row["negative"] != row["positive"]
        assert row["positive"].startswith(f"def {row['name']}(")
        assert row["module"] == f"{row['package']}.core"


def test_test_packages_are_never_trained_on(site):
    parts = {split: load_python_docs(split, paths=[site]) for split in SPLITS}
    packages = {split: set(part["package"]) for split, part in parts.items()}
    assert all(packages.values())
    assert sum(map(len, packages.values())) == 40  # so no package stands in two of them
    trained = {text for column in ("anchor", "positive", "negative") for text in parts["train"][column]}
    assert not trained & {*parts["test"]["anchor"], *parts["test"]["positive"]}
    assert sum(map(len, parts.values())) == len(load_python_docs("all", paths=[site]))


def test_splits_are_stable_siblings_stay_together_none_is_empty():
    names = [f"package{chr(97 + i)}{chr(97 + j)}" for i in range(20) for j in range(20)]
    splits = _mining.split_of_packages(names)
    share = {split: list(splits.values()).count(split) / len(names) for split in SPLITS}
    assert share["test"] == pytest.approx(0.12, abs=0.04)
    assert share["validation"] == pytest.approx(0.08, abs=0.04)
    more = _mining.split_of_packages([*names, "another", "pytest", "_pytest", "httpx", "httpx2"])
    assert all(more[name] == splits[name] for name in names)
    assert (more["pytest"], more["httpx"]) == (more["_pytest"], more["httpx2"])
    for count in range(3, 12):
        assert set(_mining.split_of_packages(names[:count]).values()) == set(SPLITS)
    assert _mining.split_of_packages([]) == {}
    assert stable_hash("the same everywhere") == 5773301032591314601


def test_a_text_of_the_test_split_is_not_in_training(tmp_path):
    names = [f"package{chr(97 + number)}" for number in range(12)]
    splits = _mining.split_of_packages(names)
    for name in names:
        write_package(tmp_path, name, verbs=("opens",))
        # the same function everywhere, and one that is the same with another docstring
        (tmp_path / name / "copy.py").write_text(
            f'def copied(x):\n    """Copied over to {name} now."""\n    return [x, x * 2]\n\n'
            'def other(x):\n    """The same words everywhere."""\n    return [x, x * 2, 3]\n'
        )
    rows = {split: load_python_docs(split, paths=[tmp_path]) for split in SPLITS}
    anchors = [row["anchor"] for part in rows.values() for row in part]
    assert "The same words everywhere." not in anchors  # said of 12 functions, it picks out none
    assert sum("Copied over to" in anchor for anchor in anchors) == 1
    assert set(splits.values()) == set(SPLITS)


def test_a_package_gives_at_most_its_cap_and_the_sample_is_stable(site):
    write_package(site, "large", verbs=[f"v{number}w" for number in range(50)])
    small = load_python_docs("all", paths=[site], max_per_package=2)
    assert max(list(small["package"]).count(name) for name in set(small["package"])) == 2
    again = load_python_docs("all", paths=[site], max_per_package=2, refresh=True)
    assert again.to_list() == small.to_list()


def test_limit_takes_the_beginning_of_a_fair_order(site):
    everything = load_python_docs("all", paths=[site])
    some = load_python_docs("all", paths=[site], limit=30)
    assert some.to_list() == everything.to_list()[:30]
    assert len(set(some["package"])) > 15
    assert len(load_python_docs("test", paths=[site], limit=10**6)) > 0
    assert len(load_python_docs("test", paths=[site], limit=0)) == 0


def test_the_second_call_reads_the_cache_and_a_change_or_refresh_mines_again(site, monkeypatch):
    first = load_python_docs("all", paths=[site])
    calls = []
    mine = _mining.mine_package
    monkeypatch.setattr(_mining, "mine_package", lambda *args: calls.append(args) or mine(*args))
    assert load_python_docs("all", paths=[site]).to_list() == first.to_list()
    assert not calls
    load_python_docs("train", paths=[site], refresh=True)
    assert len(calls) == 40
    write_package(site, "brand_new")
    assert len(load_python_docs("all", paths=[site])) == 123


def test_workers_find_the_same_and_need_no_guard_in_the_callers_script(site, tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import json\nfrom egemma_lab.data import _mining\n"
        "from egemma_lab.data._source_files import find_packages\n"
        f"_mining._WORTH_WORKERS = 1\nprint(json.dumps(_mining.mine(find_packages([{str(site)!r}]), 100)))\n"
    )
    command = [sys.executable, str(script)]
    wide = {**os.environ, "COLUMNS": "200"}  # room for the whole of the progress bar
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200, env=wide)
    assert json.loads(result.stdout) == _mining.mine(find_packages([site]), 100)
    assert "120 pairs" in result.stderr  # the progress bar


def test_the_environment_is_found_without_importing_it():
    packages = {package.name: package.path for package in find_packages()}
    assert packages["json"].is_dir()
    assert packages["numpy"].is_dir()
    assert packages["textwrap"].suffix == ".py"
    assert not {"test", "idlelib", "this"} & set(packages)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"split": "dev"}, ValueError, "split='dev' is not one of train, validation, test, all"),
        ({"limit": -1}, ValueError, "limit=-1"),
        ({"max_per_package": 0}, ValueError, "max_per_package=0"),
        ({"paths": ["/nowhere/at/all"]}, FileNotFoundError, "at/all"),
    ],
)
def test_bad_arguments_are_named(arguments, error, words):
    with pytest.raises(error) as caught:
        load_python_docs(**arguments)
    assert words in str(caught.value).replace("\\\\", "/")


def test_a_place_without_functions_is_an_error(tmp_path):
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="no documented function"):
        load_python_docs("all", paths=[tmp_path])
