"""How the installation does: pulses of its workers, metrics, health."""
