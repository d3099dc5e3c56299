"""Which Stripe code says why a payment was declined."""


def decline_code_of(error_object: object) -> str:
    """Return the most precise code of a decline; Stripe leaves out members without a value."""
    code = getattr(error_object, "code", None)
    decline_code = getattr(error_object, "decline_code", None)
    if {code, decline_code} & {"authentication_required", "authentication_not_handled"}:
        return "authentication_required"  # one situation under two codes
    if code == "payment_intent_authentication_failure":
        return "authentication_failed"
    return decline_code or code or "card_declined"
