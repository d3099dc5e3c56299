"""``python -m proof.protocol [--deep]``: search the protocol, then every mutant of it.

The exit status is 1 if the protocol has a finding, or a mutant does not have its own.
"""

import argparse
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from proof.protocol.mutants import MUTANTS
from proof.protocol.rules import Protocol, SearchScope
from proof.protocol.scopes import DEEP, QUICK
from proof.protocol.search import Search, SearchResult


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proof.protocol", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="search the large worlds, too")
    parser.add_argument("--no-traces", action="store_true", help="do not print the mutants' traces")
    options = parser.parse_args()
    console = Console()
    has_no_finding = search_protocol(console, {**QUICK, **DEEP} if options.deep else QUICK)
    mutants_are_found = search_mutants(console, with_traces=not options.no_traces)
    return int(not (has_no_finding and mutants_are_found))


def search_protocol(console: Console, scopes: Mapping[str, SearchScope]) -> bool:
    """Search every world and print the results; return whether there is no finding."""
    table = Table("world", "states", "moves", "seconds", "finding", title="The protocol")
    results = []
    for name, scope in scopes.items():
        with console.status(f"searching: {name}"):
            result = Search(Protocol(scope)).run()
        results.append(result)
        table.add_row(name, *_figures(result), result.finding or "none")
    states = sum(result.states for result in results)
    edges = sum(result.edges for result in results)
    seconds = sum(result.seconds for result in results)
    found = [result for result in results if result.finding]
    table.add_section()
    table.add_row("all", f"{states:,}", f"{edges:,}", f"{seconds:.1f}", str(len(found)))
    console.print(table)
    for result in found:
        _show_trace(console, result)
    return not found


def search_mutants(console: Console, *, with_traces: bool) -> bool:
    """Search every mutant and print the results; return whether each has its declared finding."""
    table = Table("mutant", "states", "moves", "seconds", "finding", "steps", title="Its mutants")
    as_declared = killed = 0
    traces: list[tuple[str, SearchResult]] = []
    for name, mutant in MUTANTS.items():
        result = Search(mutant.protocol).run()
        as_declared += result.finding == mutant.finding
        killed += bool(result.finding)
        steps = str(len(result.trace)) if result.finding else ""
        table.add_row(name, *_figures(result), result.finding or "none: equivalent", steps)
        traces.append((name, result))
    console.print(table)
    for name, result in traces if with_traces else []:
        if result.finding:
            console.print(f"\n[bold]{name}[/bold]  {MUTANTS[name].without}")
            _show_trace(console, result)
    survivors = len(MUTANTS) - killed
    console.print(f"\n{killed} of {len(MUTANTS)} mutants killed, {survivors} shown equivalent.")
    return as_declared == len(MUTANTS)


def _figures(result: SearchResult) -> tuple[str, str, str]:
    return f"{result.states:,}", f"{result.edges:,}", f"{result.seconds:.1f}"


def _show_trace(console: Console, result: SearchResult) -> None:
    for number, move in enumerate(result.trace, start=1):
        console.print(f"  {number:>2}  {move}", markup=False, highlight=False)
    console.print(f"      {result.finding}", style="red")
