"""Who may call, and what for: tokens with scopes, guests' links, limits on how often."""
