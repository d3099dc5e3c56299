"""What waiting costs, measured on the whole running system: `make bench-waits`."""
