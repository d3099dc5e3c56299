"""How the installation does: heartbeats of its workers, metrics, health."""
