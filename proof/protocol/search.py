"""Breadth-first search of everything that can happen, with the shortest trace to a finding.

Safety is checked in every state and for every move. Liveness is AG EF: from every reachable state a
good end can be reached by progress alone, without a fault or a customer.
"""

import time
from dataclasses import dataclass, field

from proof.protocol.moves import PROGRESS, Moves
from proof.protocol.properties import ALLOWED, is_good_end, steps_taken, violation
from proof.protocol.rules import Protocol
from proof.protocol.state import World
from proof.protocol.tables import Move

STUCK = "no good end can be reached"


@dataclass(slots=True)
class SearchResult:
    """The result of a search. ``trace`` is the shortest way to the finding, if there is one."""

    finding: str = ""
    trace: list[str] = field(default_factory=list)
    states: int = 0
    edges: int = 0
    seconds: float = 0.0
    taken: set[tuple[str, Move]] = field(default_factory=set)  # changes of status that occurred
    ends: set[tuple[str, ...]] = field(default_factory=set)  # how the orders may end


class Search:
    """One search of one protocol. Worlds are numbered in the order in which they are reached."""

    def __init__(self, protocol: Protocol) -> None:
        self.moves = Moves(protocol)
        self.worlds: list[World] = []
        self.numbers: dict[World, int] = {}
        self.came_from: list[tuple[int, str]] = []
        self.progress_to: list[
            list[int]
        ] = []  # for each world, those from which progress leads to it
        self.taken: set[tuple[str, Move]] = set()
        self.ends: set[tuple[str, ...]] = set()
        self.edges = 0

    def run(self) -> SearchResult:
        """Search until the first finding, or until nothing is left."""
        started = time.perf_counter()
        finding, trace = self._unsafe() or self._stuck() or ("", [])
        seconds = time.perf_counter() - started
        return SearchResult(
            finding, trace, len(self.worlds), self.edges, seconds, self.taken, self.ends
        )

    def _unsafe(self) -> tuple[str, list[str]] | None:
        for world in self.moves.beginnings():
            self._reach(world, -1, "")
        for number, world in enumerate(self.worlds):  # grows while it is read
            if wrong := violation(world):
                return wrong, self._trace_to(number)
            for kind, text, after in self.moves.of(world):
                self.edges += 1
                if illegal := self._illegal(world, after):
                    return illegal, [*self._trace_to(number), text]
                reached = self._reach(after, number, text)
                if kind == PROGRESS:
                    self.progress_to[reached].append(number)
        return None

    def _reach(self, world: World, came_from: int, text: str) -> int:
        """Return the world's number; a new one if it was not reached before."""
        number = self.numbers.setdefault(world, len(self.worlds))
        if number == len(self.worlds):
            self.worlds.append(world)
            self.came_from.append((came_from, text))
            self.progress_to.append([])
        return number

    def _illegal(self, world: World, after: World) -> str:
        if after.orders is world.orders:
            return ""
        taken = steps_taken(world, after)
        self.taken |= taken
        if illegal := taken - ALLOWED:
            what, (source, target) = min(illegal)
            return f"illegal move of the {what}: {source} to {target}"
        return ""

    def _stuck(self) -> tuple[str, list[str]] | None:
        """Find the first world from which no progress leads to a good end."""
        is_good = [is_good_end(world) for world in self.worlds]
        waiting = [number for number, good in enumerate(is_good) if good]
        self.ends = {
            tuple(sorted(order.status for order in self.worlds[number].orders))
            for number in waiting
        }
        while waiting:
            for number in self.progress_to[waiting.pop()]:
                if not is_good[number]:
                    is_good[number] = True
                    waiting.append(number)
        return None if all(is_good) else (STUCK, self._trace_to(is_good.index(False)))

    def _trace_to(self, number: int) -> list[str]:
        trace = []
        came_from, text = self.came_from[number]
        while came_from >= 0:
            trace.append(text)
            came_from, text = self.came_from[came_from]
        return trace[::-1]
