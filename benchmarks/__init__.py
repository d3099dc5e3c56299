"""What an order costs and how long it takes, measured from outside on the running system."""
