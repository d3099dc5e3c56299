"""The fixed loop that tells how fast the machine is."""

from benchmarks.speed import FULL_SPEED_MS, SpeedProbe, loop_ms


def test_the_loop_costs_processor_time() -> None:
    assert 0 < loop_ms() < 1000 * FULL_SPEED_MS


def test_the_probe_has_at_least_one_sample_when_it_is_stopped_at_once() -> None:
    assert SpeedProbe().stop() > 0
