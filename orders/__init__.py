"""Orders: their states, their sagas and the storefront API. This app calls the other apps."""
