"""The fixed loop that measures how fast the machine is."""

from benchmarks.speed import FULL_SPEED_MS, SpeedProbe, loop_ms


def test_the_loop_takes_cpu_time() -> None:
    assert 0 < loop_ms() < 1000 * FULL_SPEED_MS


def test_a_probe_that_is_stopped_at_once_has_a_sample() -> None:
    assert SpeedProbe().stop() > 0
