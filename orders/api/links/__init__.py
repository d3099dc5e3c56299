"""Guest links: access to one order without an account."""
