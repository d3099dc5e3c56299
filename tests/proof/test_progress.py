"""A proof shows its progress, with and without a terminal."""

from io import StringIO

from rich.console import Console

from proof.progress import Progress, show_progress


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_line_is_printed_after_a_number_of_runs_and_at_the_end() -> None:
    clock, lines = Clock(), list[str]()
    progress = Progress(7, lines.append, every=3, now=clock)

    for findings in (0, 0, 2, 0, 0, 0, 1):
        clock.seconds += 2
        progress.add(findings)

    assert lines == [
        "3/7 runs, 2 findings, 0.5 runs/s, 0 min 08 s left",
        "6/7 runs, 2 findings, 0.5 runs/s, 0 min 02 s left",
        "7/7 runs, 3 findings, 0.5 runs/s, 0 min 00 s left",
    ]


def test_a_line_is_printed_every_half_minute_when_runs_are_slow() -> None:
    clock, lines = Clock(), list[str]()
    progress = Progress(1000, lines.append, every=100, now=clock)

    for _ in range(6):
        clock.seconds += 10
        progress.add(0)

    assert [line.partition(" ")[0] for line in lines] == ["3/1000", "6/1000"]


def test_without_a_terminal_lines_are_printed() -> None:
    output = StringIO()

    with show_progress(Console(file=output, force_terminal=False), 2) as count:
        count(0)
        count(1)

    assert output.getvalue().splitlines()[-1].startswith("2/2 runs, 1 findings, ")


def test_a_terminal_shows_the_findings_beside_a_bar() -> None:
    output = StringIO()

    with show_progress(Console(file=output, force_terminal=True, width=100), 2) as count:
        count(1)
        count(1)

    assert "2 findings" in output.getvalue()
    assert "2/2" in output.getvalue()
