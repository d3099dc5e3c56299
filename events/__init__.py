"""Facts on their way out: what became true, recorded in the transaction that made it true."""
