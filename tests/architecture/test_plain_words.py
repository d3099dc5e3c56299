"""The prose check finds each banned phrase and nothing else, and keeps the numbers from growing."""

import io
import tokenize
from pathlib import Path

import pytest

from tests.architecture.plain_words import (
    BASELINE,
    EXCEPTIONS,
    IDIOMS,
    INSTEAD,
    LONG_SENTENCE,
    LOOP,
    main,
    uses_in,
)
from tests.support.prose import COMMENT_OR_STRING
from tests.support.source_files import python_files

EXAMPLES = {
    "whoever": ["Whoever asks", "for whomever", "whosoever comes", "the answer of one who waits"],
    "nobody": ["Nobody waits", "it is nobody's order"],
    "somebody": ["somebody asked", "if anybody asks"],
    "whatever": ["Whatever says something", "by whatever customer", "whichever caller is first"],
    "is told": ["is told", "are told", "was told", "were told", "be told", "is never told"],
    "for ever": ["for ever", "For ever"],
    "are none": ["are none", "is none", "a token that was none"],
    "comes to be": ["comes to be", "come to be", "came to be"],
    "be that": ["be that as it may"],
    "lest": ["lest it fail"],
    "Let": ["Let the caller wait"],
}
EXPECTED = {example: [phrase] for phrase, examples in EXAMPLES.items() for example in examples}
NEAR_MISSES = [
    "the provider told us so",
    "the whole story told once",
    "forever, and not ever",
    "there can come a time to be there",
    "it will be then that this ends",
    "at least the latest",
    "Lets the caller wait, and let it go",
    "whichever credential is used, whatever its scopes",
    "however the somebodies",
    "Returns `None`: the value is None",
    "the user `nobody`, and ``for ever`` in code",
    "the example `wait\n    for ever`",
]
LOOPS = [
    "for each in orders: pass",
    "x = [each for each in orders]",
    "x = {k: each for k, each in orders}",
    "x = {k for each, k in orders}",
    "for (number, each) in orders: pass",
    "for first, *each in orders: pass",
    'x = f"{[each for each in orders]}"',
]
NO_LOOPS = [
    "for order in each: pass",
    "for order in orders: each = order",
    "for each_order in orders: pass",
    'x = "it says for each in turn"',
    "# for each in turn",
]
THIRTY = "word " * 29 + "end."
THIRTY_ONE = "word " * 30 + "end."


def phrases(path: str, text: str) -> list[str]:
    return [use.phrase for use in uses_in(path, text)]


def test_every_banned_phrase_has_an_example_and_a_better_word() -> None:
    assert EXAMPLES.keys() == IDIOMS.keys()
    assert INSTEAD.keys() == {*IDIOMS, LOOP, LONG_SENTENCE}


@pytest.mark.parametrize(
    "source",
    [
        "# Here {}.",
        "x = 1  # here {}",
        '"""Here {}."""',
        'def f():\n    """Here.\n\n    Then {}.\n    """',
        'raise ValueError("here it says {} today")',
        'x = f"here {{y}} it says {} today"',
        "x = 'It says:\\n{} today'",
    ],
)
def test_a_banned_phrase_is_found_in_comments_docstrings_and_texts(source: str) -> None:
    found = {example: phrases("a.py", source.format(example)) for example in EXPECTED}

    assert found == EXPECTED


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.md", "Here {}.\n"),
        ("a.html", "<p>Here {}.</p>"),
        ("a.yml", "a: 1  # here {}"),
        ("a.toml", "# here {}"),
        ("Makefile", "a: ## here {}"),
    ],
)
def test_a_banned_phrase_is_found_in_other_files(path: str, text: str) -> None:
    found = {example: phrases(path, text.format(example)) for example in EXPECTED}

    assert found == EXPECTED


@pytest.mark.parametrize(
    "source",
    [
        "# this is\n# told",
        "    # this is\n    # told",
        '"""This is\ntold."""',
        'x = ("the caller is "\n    "told of it all")',
        "a = 1\nb = 2  # it\n# is told",
        "# ``a`` is told ``b``",
    ],
)
def test_neither_line_ends_nor_examples_hide_a_banned_phrase(source: str) -> None:
    assert phrases("a.py", source) == ["is told"]


def test_a_use_names_its_file_and_line() -> None:
    (use,) = uses_in("a.py", 'x = """\n{y}\n"""\n\n# `a\n# b` is told\n')

    assert use == ("a.py", 6, "is told", "# b` is told")


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_text_that_only_resembles_a_banned_phrase_is_not_reported(text: str) -> None:
    assert phrases("a.md", text) == []
    assert phrases("a.py", f'"""{text}"""') == []
    assert phrases("a.py", f"# {text}") == []


@pytest.mark.parametrize(
    "source",
    [
        "if x is None: pass",
        "for_ever = whoever = nobody",
        "nobody.is_told(somebody)",
        'run_as("nobody")',
        'run_as(user="nobody", why="who told us")',
        'x = "this is", "told by the caller"',
        'x = ["and so it is",\n     "told by the caller"]',
        'x = f"an order of {nobody} was placed"',
        "Let = 1",
    ],
)
def test_code_and_short_strings_are_not_prose(source: str) -> None:
    assert phrases("a.py", source) == []


@pytest.mark.parametrize("source", LOOPS)
def test_a_loop_over_each_is_found(source: str) -> None:
    assert phrases("a.py", source) == [LOOP]


@pytest.mark.parametrize("source", NO_LOOPS)
def test_other_loops_and_prose_are_not_reported(source: str) -> None:
    assert phrases("a.py", source) == []


def test_a_loop_of_a_template_is_found() -> None:
    assert phrases("a.html", "{% for each in orders %}{{ each }}{% endfor %}") == [LOOP]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", '"""{}"""'),
        ("a.py", 'def f():\n    r"""Short.\n\n    {}\n    """'),
        ("a.py", 'x = 1\n"""{}"""'),
        ("a.py", 'x = "a"\n"""{}"""'),
        ("a.md", "# Title\n\n{}\n"),
        ("a.md", "Short. {} Short.\n"),
        ("a.md", "* short\n* {}\n"),
        ("a.md", "| short | {} |\n"),
    ],
)
def test_a_sentence_may_have_thirty_words(path: str, text: str) -> None:
    assert phrases(path, text.format(THIRTY)) == []
    assert phrases(path, text.format(THIRTY_ONE)) == [LONG_SENTENCE]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", f'x = """{THIRTY_ONE}"""'),
        ("a.py", f'f(\n    """{THIRTY_ONE}"""\n)'),
        ("a.py", f'def f():\n    return """{THIRTY_ONE}"""'),
        ("a.py", f"# {THIRTY_ONE}"),
        ("a.md", f"```\n`x` {THIRTY_ONE}\n\nnobody\n```\n"),
        ("a.md", f"Say `{THIRTY_ONE}`.\n"),
        ("a.md", f"{'word ' * 20}\n\n{'word ' * 20}\n"),
        ("a.md", f"{'word ' * 20}:\n* {'word ' * 20}\n1. {'word ' * 20}\n"),
        ("a.html", f"<p>{THIRTY_ONE}</p>"),
    ],
)
def test_only_sentences_of_docstrings_and_documents_are_counted(path: str, text: str) -> None:
    assert phrases(path, text) == []


def test_strings_and_comments_agree_with_pythons_tokenizer() -> None:
    sources = ["\n".join(source.lines) + "\n" for source in python_files("sagas", "adminkit")]
    sources.append('x = f"a\'#{b}" + r\'\\d"#\'  # it\'s\ny = """a"b\n#\\\\""" ""  # "c"\n')

    for source in sources:
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        expected = [
            token.string.lstrip("rbfu")
            for token in tokens
            if token.type in {tokenize.STRING, tokenize.COMMENT}
        ]
        assert [match[0] for match in COMMENT_OR_STRING.finditer(source)] == expected


class Repository:
    """A small repository with the data of the check."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys
        (root / BASELINE).parent.mkdir(parents=True)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def run(self, action: str) -> tuple[int, str]:
        status = main([action], self.root)
        return status, "".join(self._capsys.readouterr())

    @property
    def baseline(self) -> list[str]:
        return (self.root / BASELINE).read_text().splitlines()[1:]


@pytest.fixture
def repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Repository:
    """Two old files: one with two uses of one phrase, one with one use of another."""
    made = Repository(tmp_path, capsys)
    made.write("old.py", "# nobody\n\nx = 1  # nobody\n")
    made.write("other.py", "# somebody\n")
    assert made.run("record") == (0, "")
    assert made.baseline == ["old.py | nobody | 2", "other.py | somebody | 1"]
    return made


def test_a_recorded_repository_passes(repository: Repository) -> None:
    assert repository.run("check") == (0, "")


def test_a_new_use_fails_with_its_place_and_a_better_word(repository: Repository) -> None:
    repository.write("old.py", "# nobody\n\nx = 1  # nobody\n# nobody\n")

    status, said = repository.run("check")

    assert status == 1
    assert f'old.py: "nobody": 3 found, 2 allowed. Write {INSTEAD["nobody"]}.' in said
    assert "  old.py:4: # nobody\n" in said
    assert "other.py" not in said


def test_a_removed_banned_phrase_does_not_allow_another_one(repository: Repository) -> None:
    repository.write("old.py", "# nobody\n# lest\n")

    status, said = repository.run("check")

    assert status == 1
    assert 'old.py: "lest": 1 found, 0 allowed.' in said
    assert 'old.py: "nobody": 1 found, 2 recorded. Run `make words`.' in said


def test_a_new_file_must_be_clean(repository: Repository) -> None:
    repository.write("new.py", "# nobody\n")

    assert repository.run("check")[0] == 1
    assert repository.run("record")[0] == 1
    assert repository.baseline == ["old.py | nobody | 2", "other.py | somebody | 1"]


def test_a_removed_use_fails_until_it_is_recorded(repository: Repository) -> None:
    repository.write("old.py", "# nobody\n")

    assert repository.run("check")[0] == 1
    assert repository.run("record") == (0, "")
    assert repository.run("check") == (0, "")
    assert repository.baseline == ["old.py | nobody | 1", "other.py | somebody | 1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("old.py", "# nobody, nobody, nobody\n"),
        ("other.py", "# somebody, nobody\n"),
        ("new.py", "# nobody\n"),
    ],
)
def test_a_larger_number_is_not_recorded(name: str, text: str, repository: Repository) -> None:
    repository.write(name, text)
    before = repository.baseline

    status, said = repository.run("record")

    assert status == 1
    assert name in said
    assert repository.baseline == before


def test_an_old_file_may_not_gain_a_use_when_the_total_shrinks(repository: Repository) -> None:
    repository.write("old.py", "# clean\n")
    repository.write("other.py", "# somebody, nobody\n")

    assert repository.run("record")[0] == 1


def test_a_new_file_gains_no_use_from_an_old_file_that_stays(repository: Repository) -> None:
    repository.write("old.py", "# nobody\n")
    repository.write("new.py", "# nobody\n")

    assert repository.run("record")[0] == 1


def test_a_moved_file_keeps_its_uses(repository: Repository) -> None:
    repository.remove("old.py")
    repository.write("first.py", "# nobody\n")
    repository.write("second.py", "# nobody\n")

    assert repository.run("check")[0] == 1
    assert repository.run("record") == (0, "")
    assert repository.baseline == [
        "first.py | nobody | 1",
        "other.py | somebody | 1",
        "second.py | nobody | 1",
    ]


@pytest.mark.parametrize("text", ["# nobody, nobody, nobody\n", "# nobody, somebody\n"])
def test_a_moved_file_gains_no_use(text: str, repository: Repository) -> None:
    repository.remove("old.py")
    repository.write("new.py", text)

    assert repository.run("record")[0] == 1


def test_an_exception_with_a_reason_is_not_counted(repository: Repository) -> None:
    repository.write("new.py", "# runs as nobody\n# for nobody\n")
    repository.write(EXCEPTIONS, "# Title\nnew.py | nobody | runs as | an account of the system\n")

    status, said = repository.run("check")

    assert status == 1
    assert 'new.py: "nobody": 1 found, 0 allowed.' in said
    assert "new.py:2" in said
    assert "new.py:1" not in said
    assert "Justified exceptions: 1" in repository.run("count")[1]


@pytest.mark.parametrize(
    "line", ["new.py | nobody | runs as", "new.py | nobody | runs as | ", "nobody"]
)
def test_an_exception_needs_a_reason(line: str, repository: Repository) -> None:
    repository.write("new.py", "# runs as nobody\n")
    repository.write(EXCEPTIONS, f"{line}\n")

    with pytest.raises(SystemExit, match="not 4 fields"):
        repository.run("check")


@pytest.mark.parametrize("action", ["check", "record"])
@pytest.mark.parametrize(
    "line",
    [
        "gone.py | nobody | runs as | an account of the system",
        "old.py | somebody | nobody | an account of the system",
        "old.py | nobody | runs as | an account of the system",
    ],
)
def test_an_exception_that_excuses_nothing_is_removed(
    line: str, action: str, repository: Repository
) -> None:
    repository.write(EXCEPTIONS, f"{line}\n")

    status, said = repository.run(action)

    assert status == 1
    assert f"excuses nothing, remove it: {line}" in said


def test_totals_are_counted_by_area(repository: Repository) -> None:
    (repository.root / "docs").mkdir()
    repository.write("docs/alerts.yml", "# for nobody\n")
    repository.write("README.md", "For nobody.\n")
    repository.write("tests/test_a.py", "# nobody, nobody, nobody\n")

    status, said = repository.run("count")

    assert status == 0
    rows = {line[:16].strip(): line[16:].split() for line in said.splitlines()}
    assert rows[""] == ["product", "tests", "docs", "total"]
    assert rows["nobody"] == ["2", "3", "2", "7"]
    assert rows["somebody"] == ["1", "0", "0", "1"]
    assert rows["lest"] == ["0", "0", "0", "0"]
    assert rows["all"] == ["3", "3", "2", "8"]
