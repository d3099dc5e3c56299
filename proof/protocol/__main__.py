"""``python -m proof.protocol [--deep]``: search the protocol, then every mutant of it.

The exit status is 1 if the protocol fails, or a mutant does otherwise than it says.
"""

import argparse
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from proof.protocol.mutants import MUTANTS
from proof.protocol.rules import Protocol, Scope
from proof.protocol.scopes import DEEP, QUICK
from proof.protocol.search import Search, Verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proof.protocol", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="search the large worlds too")
    parser.add_argument("--no-traces", action="store_true", help="leave the mutants' traces out")
    options = parser.parse_args()
    console = Console()
    is_sound = search_protocol(console, {**QUICK, **DEEP} if options.deep else QUICK)
    is_sharp = search_mutants(console, with_traces=not options.no_traces)
    return int(not (is_sound and is_sharp))


def search_protocol(console: Console, scopes: Mapping[str, Scope]) -> bool:
    """Search every world and show what was found; True if nothing was."""
    table = Table("world", "states", "moves", "seconds", "finding", title="The protocol")
    verdicts = []
    for name, scope in scopes.items():
        with console.status(f"searching: {name}"):
            verdict = Search(Protocol(scope)).run()
        verdicts.append(verdict)
        table.add_row(name, *_figures(verdict), verdict.finding or "none")
    states = sum(each.states for each in verdicts)
    edges = sum(each.edges for each in verdicts)
    seconds = sum(each.seconds for each in verdicts)
    found = [each for each in verdicts if each.finding]
    table.add_section()
    table.add_row("all", f"{states:,}", f"{edges:,}", f"{seconds:.1f}", str(len(found)))
    console.print(table)
    for verdict in found:
        _show_trace(console, verdict)
    return not found


def search_mutants(console: Console, *, with_traces: bool) -> bool:
    """Search every mutant and show what it led to; True if each did as it says."""
    table = Table("mutant", "states", "moves", "seconds", "finding", "steps", title="Its mutants")
    as_said = killed = 0
    traces: list[tuple[str, Verdict]] = []
    for name, mutant in MUTANTS.items():
        verdict = Search(mutant.protocol).run()
        as_said += verdict.finding == mutant.finding
        killed += bool(verdict.finding)
        steps = str(len(verdict.trace)) if verdict.finding else ""
        table.add_row(name, *_figures(verdict), verdict.finding or "none: equivalent", steps)
        traces.append((name, verdict))
    console.print(table)
    for name, verdict in traces if with_traces else []:
        if verdict.finding:
            console.print(f"\n[bold]{name}[/bold]  {MUTANTS[name].without}")
            _show_trace(console, verdict)
    survivors = len(MUTANTS) - killed
    console.print(f"\n{killed} of {len(MUTANTS)} mutants killed, {survivors} shown equivalent.")
    return as_said == len(MUTANTS)


def _figures(verdict: Verdict) -> tuple[str, str, str]:
    return f"{verdict.states:,}", f"{verdict.edges:,}", f"{verdict.seconds:.1f}"


def _show_trace(console: Console, verdict: Verdict) -> None:
    for number, says in enumerate(verdict.trace, start=1):
        console.print(f"  {number:>2}  {says}", markup=False, highlight=False)
    console.print(f"      {verdict.finding}", style="red")


if __name__ == "__main__":
    sys.exit(main())
