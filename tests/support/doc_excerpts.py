"""The code that pages of ``docs/`` show, for tests that run it or compare it with ours."""

import re
from typing import Final

from tests.support.source_files import ROOT

_BLOCK: Final = re.compile(
    r"^```python\n# (\S+\.py)(?:, ([^\n]*))?\n(.*?)^```", re.DOTALL | re.MULTILINE
)


def excerpts(page: str, path: str) -> list[tuple[str, str]]:
    """Return the blocks of a page whose first line is a comment with this path.

    Each with the rest of that comment, such as ``below reserve_stock``, and the code below it.
    """
    blocks = _BLOCK.findall((ROOT / "docs" / page).read_text())
    return [(note, code) for shown, note, code in blocks if shown == path]
