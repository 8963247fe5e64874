"""All benchmarks, one after the other, and the table of targets in benchmarks/README.md.

python benchmarks/run.py [NAME ...]      # default: all that have a target; `make bench`
python benchmarks/run.py --table         # only write the table again, from results/
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from egemma_lab.experiments.marks import between_marks

FOLDER = Path(__file__).parent
NAMES = (
    "startup",
    "explorers",
    "losses",
    "gradient_cache",
    "roofline",
    "growth",
    "training",
    "encoding",
    "streaming",
    "memory",
)


def table():
    """A row a target, from results/*.json: Markdown text."""
    lines = ["| what | aim | measured | | where, when |", "|---|---|---|---|---|"]
    for path in sorted((FOLDER / "results").glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        machine = content["machine"]
        place = f"{machine['gpu'] or machine['processor']}, {machine['instructions']}, {machine['threads']} threads"
        for row in content["targets"]:
            mark = "reached" if row["reached"] else "**missed**"
            where = f"{place}, {content['measured']}"
            lines.append(f"| {row['what']} | {row['aim']} | {row['measured']} | {mark} | {where} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    failed = []
    for name in () if options.table else options.names or NAMES:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, FOLDER / f"{name}.py"]).returncode:
            failed.append(name)
    page = FOLDER / "README.md"
    page.write_text(between_marks(page.read_text("utf-8"), "results", table()), "utf-8")
    print(f"wrote {page}" + (f"; FAILED: {', '.join(failed)}" if failed else ""))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
