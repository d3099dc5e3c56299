"""Rate limits and other limits for callers of the storefront API."""

from config.env import Section


def rates_of_callers(api: Section) -> dict[str, str]:
    """Read the rates; return them by their names in the API's problems."""
    return {
        "reads": api.rate("THROTTLE_READS", "A customer's or guest's reads.", "120/minute"),
        "orders": api.rate("THROTTLE_ORDERS", "Orders that a customer places.", "10/minute"),
        "quotes": api.rate("THROTTLE_QUOTES", "Quotes that a customer requests.", "60/minute"),
        "changes": api.rate(
            "THROTTLE_CHANGES",
            "Other changes by a customer or guest: cancels, links.",
            "30/minute",
        ),
        "shop-reads": api.rate("THROTTLE_SHOP_READS", "Reads by the shop's server.", "6000/minute"),
        "shop-changes": api.rate(
            "THROTTLE_SHOP_CHANGES",
            "Orders, cancels and quotes by the shop's server.",
            "3000/minute",
        ),
        "anonymous": api.rate(
            "THROTTLE_ANONYMOUS", "Requests without a token, by address.", "60/minute"
        ),
        "failures": api.rate(
            "THROTTLE_FAILURES", "Requests with an invalid token, by address.", "20/minute"
        ),
    }


def max_open_orders(api: Section) -> int:
    """Read how many unfinished orders a customer may have."""
    return api.number(
        "MAX_OPEN_ORDERS",
        "How many unfinished orders a customer may have, so that no customer reserves all the stock; "
        "0 for no limit. The shop's server has no limit.",
        20,
    )


def max_streams_per_process(api: Section) -> int:
    return api.number(
        "STREAMS_PER_PROCESS",
        "Event streams that a web process serves at once. Each holds one of its 24 threads.",
        8,
    )


def max_streams_per_customer(api: Section) -> int:
    return api.number(
        "STREAMS_PER_CUSTOMER",
        "Streams at once for one customer, or for one guest's order.",
        3,
    )


def max_waiters_per_process(api: Section) -> int:
    return api.number(
        "WAITERS_PER_PROCESS",
        "Requests that wait in a web process at once, by `Prefer: wait` or for an approval. Each holds "
        "one of its 24 threads; further ones are answered at once.",
        8,
    )


def max_waiters_per_customer(api: Section) -> int:
    return api.number(
        "WAITERS_PER_CUSTOMER",
        "Waiting requests at once for one customer, or for one guest's order.",
        4,
    )
