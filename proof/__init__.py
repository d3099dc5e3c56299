"""Tools that test the guarantees by injecting faults. Application code never imports them."""
