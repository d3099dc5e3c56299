"""Orders: their states, their sagas and the storefront API. It conducts the other apps."""
