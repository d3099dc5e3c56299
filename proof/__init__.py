"""What proves the promises: tools of the repository, imported by no application code."""
