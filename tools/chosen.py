"""The names that a tool of several parts is called with."""

import argparse


def chosen(about, known, noun, arguments=None):
    """Names on the command line, all of `known` where none is given; ends with bad usage at one that is not known.

    >>> chosen("Draw.", ["sun", "moon"], "star", ["moon"])
    ['moon']
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(known)} (default: all)")
    names = parser.parse_args(arguments).names or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such {noun}: {', '.join(unknown)}; there are {', '.join(known)}")
    return names
