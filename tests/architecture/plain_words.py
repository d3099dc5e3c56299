"""Finds phrases that are hard to read. `make lint` runs the check, `make words` records progress.

The baseline says how many uses of each banned phrase each file still has. The check fails on any other
number: a new use must be rewritten, and a smaller number must be recorded.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from tests.support.prose import long_sentences, parts_of
from tests.support.source_files import ROOT, all_files

BASELINE = "tests/architecture/plain_words_baseline.txt"
BASELINE_TITLE = "# `make words` writes this file: path | phrase | uses. Numbers only go down.\n"
EXCEPTIONS = "tests/architecture/plain_words_exceptions.txt"
NOT_READ = {
    *(BASELINE, EXCEPTIONS, "tests/architecture/test_plain_words.py"),  # they quote the phrases
    *("docs/openapi.yaml", "proof/fault_points.lock.json"),  # generated from the code
    "LICENSE",
}
NOT_TEXT = {".png", ".svg"}

MAX_WORDS = 30
LONG_SENTENCE = f"over {MAX_WORDS} words"
LOOP = "for each in"
_BE = "(?:is|are|was|were|be|been|being)"
_PERSON = "(?:person|people|customer|caller|operator|developer|user|client)"
IDIOMS = {
    "whoever": "(?i:who(?:m|so|mso)?ever|one who)",
    "nobody": "(?i:nobody)",
    "somebody": "(?i:somebody|anybody)",
    "whatever": f"Whatever|(?i:(?:whatever|whichever) {_PERSON}s?)",
    "is told": rf"(?i:{_BE}(?: \w+)? told)",
    "for ever": "(?i:for ever)",
    "are none": "(?i:is|are|was|were) none",  # Python's None has a capital letter
    "comes to be": "(?i:(?:come|comes|came|coming) to be)",
    "be that": "(?i:be that)",
    "lest": "(?i:lest)",
    "Let": "Let(?= )",
}
"""The patterns to find in prose, as whole words. A space matches any white space."""

_ROLES = "the role: customer, staff, caller, operator, developer"
INSTEAD = {
    "whoever": _ROLES,
    "nobody": f"{_ROLES}; or what does not happen",
    "somebody": _ROLES,
    "whatever": f"what it is: the process, the order; or {_ROLES}",
    "is told": "who sends, shows or returns what",
    "for ever": "without end, or without a limit",
    "are none": "there is no ..., or: returns None",
    "comes to be": "is created, or becomes",
    "be that": "whether, perhaps, or the plain statement",
    "lest": "so that ... not",
    "Let": "a statement: lets, allows, returns",
    LOOP: "what each one is: for order in orders",
    LONG_SENTENCE: "several sentences of about 20 words",
}
"""Every banned phrase, and what to write instead."""

ADVICE = f"""\
After a file was moved, `make words` moves its numbers.
A use that must stay gets a line with its reason in {EXCEPTIONS}."""

_ANY_IDIOM = re.compile(
    rf"\b(?:{'|'.join(f'({pattern})' for pattern in IDIOMS.values())})\b".replace(" ", r"[\s#]+")
)
_LOOP = re.compile(r"\bfor\s+(?:[\w\s,(*]*[\s,(*])?each\b[\w\s,)*]*\sin\b")


class Use(NamedTuple):
    """One use of a banned phrase."""

    path: str
    line: int
    phrase: str
    text: str


class JustifiedException(NamedTuple):
    """Uses that stay: those in one file, of one phrase, on lines that contain the text."""

    path: str
    phrase: str
    text: str
    reason: str

    def covers(self, use: Use) -> bool:
        return (self.path, self.phrase) == (use.path, use.phrase) and self.text in use.text


Counts = Counter[tuple[str, str]]
"""The number of uses by path and phrase."""


def uses_in(path: str, text: str) -> list[Use]:
    """Return every use of a banned phrase in one file, in the order of its lines."""
    parts, names = parts_of(path, text), tuple(IDIOMS)
    found = [
        (parts.prose.count("\n", 0, match.start()), names[(match.lastindex or 0) - 1])
        for match in _ANY_IDIOM.finditer(parts.prose)
    ]
    found += [
        (parts.sentences.count("\n", 0, start), LONG_SENTENCE)
        for start in long_sentences(parts.sentences, MAX_WORDS)
    ]
    found += [
        (parts.code.count("\n", 0, match.start()), LOOP) for match in _LOOP.finditer(parts.code)
    ]
    lines = text.split("\n")
    return [Use(path, line + 1, phrase, lines[line].strip()) for line, phrase in sorted(found)]


def counts_of(uses: Sequence[Use]) -> Counts:
    return Counter((use.path, use.phrase) for use in uses)


def differences(uses: Sequence[Use], baseline: Counts) -> Iterator[str]:
    """Yield what to do about each number that differs from the baseline."""
    counts = counts_of(uses)
    for path, phrase in sorted(counts.keys() | baseline.keys()):
        found, allowed = counts[path, phrase], baseline[path, phrase]
        if found > allowed:
            yield f'{path}: "{phrase}": {found} found, {allowed} allowed. Write {INSTEAD[phrase]}.'
            for use in uses:
                if (use.path, use.phrase) == (path, phrase):
                    yield f"  {path}:{use.line}: {use.text}"
        elif found < allowed:
            yield f'{path}: "{phrase}": {found} found, {allowed} recorded. Run `make words`.'


def increases(counts: Counts, baseline: Counts, present: Set[str]) -> Iterator[str]:
    """Yield the numbers that grew. A new file may have as many uses as removed files had.

    So a file can be moved, but a file that stays never gains a use.
    """
    recorded = {path for path, _ in baseline}
    for phrase in INSTEAD:
        grown = {
            path: f'{path}: "{phrase}": {found} found, {baseline[path, phrase]} allowed.'
            for (path, name), found in sorted(counts.items())
            if name == phrase and found > baseline[path, phrase]
        }
        yield from (text for path, text in grown.items() if path in recorded)
        new = {path: text for path, text in grown.items() if path not in recorded}
        removed = sum(baseline[path, phrase] for path in recorded - present)
        if sum(counts[path, phrase] for path in new) > removed:
            yield from new.values()


def table(counts: Counts) -> Iterator[str]:
    """Lay out the totals of each phrase in the product, its tests and its documents."""
    columns = ("product", "tests", "docs", "total")
    yield f"{'':16}" + "".join(f"{column:>9}" for column in columns)
    totals = Counter[str]()
    for phrase in INSTEAD:
        row = Counter[str]()
        for (path, name), found in counts.items():
            if name == phrase:
                row.update({area_of(path): found, "total": found})
        totals.update(row)
        yield f"{phrase:16}" + "".join(f"{row[column]:9}" for column in columns)
    yield f"{'all':16}" + "".join(f"{totals[column]:9}" for column in columns)


def area_of(path: str) -> str:
    if path.startswith("docs/") or path.endswith(".md"):
        return "docs"
    return "tests" if path.startswith("tests/") else "product"


def read_fields(path: Path, count: int) -> list[list[str]]:
    """Return the fields of each line that is neither empty nor a comment."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [
        [field.strip() for field in line.split(" | ")]
        for line in lines
        if line and not line.startswith("#")
    ]
    for row in rows:
        if len(row) != count or not all(row):
            raise SystemExit(f"{path.name}: not {count} fields: {' | '.join(row)}")
    return rows


def read_uses(root: Path) -> list[Use]:
    return [
        use
        for path in all_files(root)
        if path.suffix not in NOT_TEXT
        if (name := path.relative_to(root).as_posix()) not in NOT_READ
        for use in uses_in(name, path.read_text())
    ]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Check, record or count. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("check", "record", "count"))
    action = parser.parse_args(arguments).action

    exceptions = [JustifiedException(*row) for row in read_fields(root / EXCEPTIONS, 4)]
    found = read_uses(root)
    uses = [use for use in found if not any(allowed.covers(use) for allowed in exceptions)]
    if action == "count":
        print(*table(counts_of(uses)), f"Justified exceptions: {len(found) - len(uses)}", sep="\n")
        return 0

    problems = [
        f"{EXCEPTIONS}: excuses nothing, remove it: {' | '.join(allowed)}"
        for allowed in exceptions
        if not any(allowed.covers(use) for use in found)
    ]
    rows = read_fields(root / BASELINE, 3)
    baseline = Counter({(path, phrase): int(number) for path, phrase, number in rows})
    if action == "check":
        problems += differences(uses, baseline)
    elif (root / BASELINE).exists():
        present = {path for path, _ in baseline if (root / path).exists()}
        problems += increases(counts_of(uses), baseline, present)
    if problems:
        print(*problems, ADVICE, sep="\n", file=sys.stderr)
    elif action == "record":
        write_baseline(root / BASELINE, counts_of(uses))
    return bool(problems)


def write_baseline(path: Path, counts: Counts) -> None:
    lines = (f"{name} | {phrase} | {number}\n" for (name, phrase), number in sorted(counts.items()))
    path.write_text(BASELINE_TITLE + "".join(lines))


if __name__ == "__main__":
    sys.exit(main())
