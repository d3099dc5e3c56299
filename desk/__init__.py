"""The operations desk: the pages on which staff see orders and act on them."""
