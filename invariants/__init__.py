"""What must always be true of our books and stock, and of the payment providers beside them."""
