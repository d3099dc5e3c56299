"""A sandbox for any outside service with a JSON API: it answers by rules, and logs what it did."""
