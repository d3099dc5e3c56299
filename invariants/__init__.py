"""What must always be true: of our books, of the shelves, and of the bank beside them."""
