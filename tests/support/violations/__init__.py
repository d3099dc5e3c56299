"""For every invariant, ways to break it and nothing else: by SQL, or in what the provider reports."""
