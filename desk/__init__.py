"""The operations desk: what staff see, and what they may do."""
