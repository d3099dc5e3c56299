"""API tokens with scopes, guest links, and rate limits."""
