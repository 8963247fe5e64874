"""From source files to pairs: package by package, several at once, then duplicates over everything."""

import gc
from collections import Counter

from egemma_lab.data._functions import read_functions
from egemma_lab.data._hard_negatives import most_similar_others
from egemma_lab.data._source_files import read_source, stable_hash

MAX_PLACES = 3  # an anchor said of more functions than this picks out none of them
_SPARE = 1.25  # read on until a package has this many times its cap: it is sampled, not cut
_SHARE = {"test": 0.12, "validation": 0.08}  # of the packages; the rest is for training
# Which packages end up where is this text's choice. It was picked, before any model was measured, so that
# in a scientific environment the shares hold in pairs too and no package is over a seventh of the test.
_SALT = "python-docs 14495: "
_WORTH_WORKERS = 200  # files; starting worker processes takes as long as reading these


def mine(packages, max_per_package, show_progress_bar=None):
    """Rows (anchor, positive, negative, package, module, name, split), shuffled by a hash of their name.

    Every anchor and every positive occurs once. Works on several cores (up to 8) where there is enough to
    read; the workers parse, nothing that is found is run.
    """
    from tqdm.std import tqdm

    sources = [(package.name, package.files()) for package in packages]
    sources.sort(key=lambda source: -len(source[1]))  # long ones first, so that no worker is left with one
    much = sum(len(files) for _, files in sources) >= _WORTH_WORKERS
    hidden = show_progress_bar is False or (show_progress_bar is None and not much)
    rows = []
    with tqdm(total=len(sources), desc="reading installed packages", unit=" packages", disable=hidden) as bar:
        for found in _in_parallel(sources, max_per_package) if much else _in_turn(sources, max_per_package):
            rows += found
            bar.set_postfix_str(f"{len(rows):,} pairs", refresh=False)
            bar.update()
    rows = _unique(sorted(rows, key=_order))
    splits = split_of_packages({row["package"] for row in rows})
    for row in rows:
        row["split"] = splits[row["package"]]
    tested = {_squeezed(row["positive"]) for row in rows if row["split"] == "test"}
    return [row for row in rows if row["split"] == "test" or _squeezed(row["negative"]) not in tested]


def _in_turn(sources, max_rows):
    for name, files in sources:
        yield mine_package(name, files, max_rows)


def _in_parallel(sources, max_rows):
    import joblib

    # joblib's own processes: unlike multiprocessing's they need no guard in the caller's script
    with joblib.parallel_config(backend="loky", n_jobs=min(joblib.cpu_count(), 8), idle_worker_timeout=10):
        yield from joblib.Parallel(return_as="generator_unordered", pre_dispatch="all", batch_size=1)(
            joblib.delayed(mine_package)(name, files, max_rows) for name, files in sources
        )


def mine_package(name, files, max_rows):
    """Rows of one package, at most `max_rows`, chosen by a hash of their name: the same everywhere."""
    functions = _read(files, enough=_SPARE * max_rows)
    rows = [
        {
            "anchor": function.anchor,
            "positive": function.text,
            "package": name,
            "module": function.module,
            "name": function.name,
            "key": function.key,
            "places": 1,
            "index": index,
        }
        for index, function in enumerate(functions)
        if function.anchor
    ]
    rows = _unique(sorted(rows, key=_order))[:max_rows]
    negatives = most_similar_others(functions, [row.pop("index") for row in rows])
    return [
        row | {"negative": functions[negative].text}
        for row, negative in zip(rows, negatives)
        if negative is not None  # alone in its package
    ]


def _read(files, enough):
    """Functions of one file after the other, until there are `enough` different anchors among them."""
    functions, anchors = [], set()
    collecting = gc.isenabled()
    gc.disable()  # a syntax tree is many small objects without cycles: collecting costs a fifth of the time
    try:
        for module, path in files:
            read = read_functions(read_source(path) or "", module)
            functions += read
            anchors.update(function.key for function in read if function.anchor)
            if len(anchors) >= enough:
                break
    finally:
        if collecting:
            gc.enable()
    return functions


def row_order(module, name):
    """Sort key of a row: a shuffle that comes out the same everywhere."""
    return stable_hash(f"{module}:{name}"), module, name


def _order(row):
    return row_order(row["module"], row["name"])


def _unique(rows):
    """The first row of each anchor, positive and name; none of an anchor that stands in too many places."""
    places = Counter()
    for row in rows:
        places[row["key"]] += row["places"]
    seen, kept = set(), []
    for row in rows:
        marks = {row["key"], (_squeezed(row["positive"]),), (row["module"], row["name"])}
        if places[row["key"]] <= MAX_PLACES and not marks & seen:
            seen |= marks
            kept.append(row | {"places": places[row["key"]]})
    return kept


def _squeezed(text):
    return " ".join(text.split())


def split_of_packages(names):
    """Which split each package belongs to: `{name: "train" | "validation" | "test"}`.

    A hash of the name decides, so that installing another package moves none. Siblings that differ in
    underscores around the name or digits behind it (`pytest` and `_pytest`, `httpx` and `httpx2`) stay
    together. A split that this leaves empty gets the package that came nearest to it, as long as there
    are three.
    """
    groups = {}
    for name in sorted(names):
        groups.setdefault(name.strip("_").rstrip("0123456789").lower() or name, []).append(name)
    places = sorted((stable_hash(_SALT + group) / 2**64, group) for group in groups)
    chosen = {group: _split_at(place) for place, group in places}
    if len(places) >= 3:
        for split, nearest in (("test", places[0]), ("validation", places[1]), ("train", places[-1])):
            if split not in chosen.values():
                chosen[nearest[1]] = split
    return {name: chosen[group] for group, names in groups.items() for name in names}


def _split_at(place):
    if place < _SHARE["test"]:
        return "test"
    return "validation" if place < _SHARE["test"] + _SHARE["validation"] else "train"
