"""A stand-in for any outside service that takes JSON questions and gives JSON answers."""
