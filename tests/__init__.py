"""Tests, one folder per package; `embedded_servers.py` gives them their servers."""
