"""What inventory rejects; the messages are shown to staff."""


class BelowReserved(Exception):
    """An adjustment would leave less on hand than orders have reserved. Nothing was changed."""

    def __init__(self, on_hand: int, reserved: int, change: int) -> None:
        super().__init__(
            f"{on_hand} are on hand and {reserved} of them are reserved for orders: {-change} cannot be "
            f"taken away, {on_hand - reserved} can. Cancel orders first, or count again."
        )
