"""Splits a file into prose and code, for the prose check in `tests.architecture`."""

import re
from typing import NamedTuple

# Python's own tokenizer alone takes longer for this repository than the whole check may.
COMMENT_OR_STRING = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r"|(?P<quote>\"\"\"|'''|\"|')(?P<body>(?:[^\\]|\\.)*?)(?P=quote)",
    re.DOTALL,
)
_OPEN_EXPRESSION = set("([{,=+%|")
_REPLACED_FIELD = re.compile(r"\{[^{}]*\}")
_EXAMPLE = re.compile(
    r"^[ \t]*```.*?^[ \t]*```|``[^`]+``|`[^`\n]+\n?[^`\n]*`", re.DOTALL | re.MULTILINE
)
_LIST_ITEM_OR_TITLE = r"\n[ \t]*(?=(?:[-*+>]|#+|\d+\.)[ \t])"
_SENTENCE_END = re.compile(rf"[.!?][\"')\]*_]*(?=\s)|\n[ \t]*\n|{_LIST_ITEM_OR_TITLE}|\|")
_WORD = re.compile(r"\S*\w\S*")


class Parts(NamedTuple):
    """Three readings of one file. Each has all line ends; a bar replaces what is left out.

    Prose in Python: comments, docstrings, and strings of three words or more. Sentences in
    Python: those of docstrings. A document is prose and sentences as a whole. Any other file is
    both prose and code. Examples in backticks count as one word of prose.
    """

    prose: str
    sentences: str
    code: str


def parts_of(path: str, text: str) -> Parts:
    """Split one file, by the kind that the end of its name tells."""
    if path.endswith((".py", ".pyi")):
        parts = _python_parts(text)
    elif path.endswith(".md"):
        parts = Parts(prose=text, sentences=text, code="")
    else:
        parts = Parts(prose=text, sentences="", code=text)
    return Parts(_without_examples(parts.prose), _without_examples(parts.sentences), parts.code)


def long_sentences(text: str, max_words: int) -> list[int]:
    """Return where each sentence with more words than that starts."""
    found, start = list[int](), 0
    for end in (*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)):
        words = _WORD.findall(text, start, end)
        if len(words) > max_words:
            found.append(text.index(words[0], start))
        start = end
    return found


def _python_parts(text: str) -> Parts:
    prose, sentences, code = list[str](), list[str](), list[str]()
    end, last_sign = 0, ""
    for match in COMMENT_OR_STRING.finditer(text):
        between, end = text[end : match.start()], match.end()
        before = between.rstrip("rbfu") if match["quote"] else between  # without r"", f"" and so on
        is_format_string = "f" in between[len(before) :]
        last_sign = (last_sign + before).rstrip()[-1:]
        is_statement = not before.rpartition("\n")[2].strip() and last_sign not in _OPEN_EXPRESSION
        words = _words(match)
        prose += (_left_out(between), words)
        sentences += (
            _left_out(between),
            words if match["quote"] == '"""' and is_statement else _left_out(match[0]),
        )
        code += (between, match[0] if is_format_string else _line_ends(match[0]))
        last_sign = last_sign if match["comment"] else match["quote"][0]
    code.append(text[end:])
    return Parts("".join(prose), "".join(sentences), "".join(code))


def _words(match: re.Match[str]) -> str:
    if match["comment"]:
        return match[0]
    if match["quote"] != '"""' and len(match["body"].split()) < 3:
        return _left_out(match[0])
    with_spaces = match["body"].replace("\\n", "  ")
    return _REPLACED_FIELD.sub(_one_word, with_spaces)


def _without_examples(prose: str) -> str:
    return _EXAMPLE.sub(_one_word, prose)


def _one_word(match: re.Match[str]) -> str:
    return "x" + _line_ends(match[0])


def _left_out(text: str) -> str:
    return text if text.isspace() or not text else "|" + _line_ends(text)


def _line_ends(text: str) -> str:
    return "\n" * text.count("\n")
