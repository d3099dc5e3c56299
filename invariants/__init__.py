"""What must always be true of orders, money and stock, in our database and at the payment providers."""
