"""What Stripe's error codes mean for a payment when they come with a 400 or 404.

For other statuses the status decides, whatever the code: see ``errors``. A code that is not in this
table, such as a new one, means UNKNOWN.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class Meaning(Enum):
    """What an error means, and so what to do."""

    DECLINED = auto()  # the payment method, its issuer or its network refuses
    CUSTOMER_INPUT = auto()  # the customer has to correct something, or to pay in another way
    WRONG_STATUS = auto()  # the payment has another status than we expected: read it
    REFUND_IMPOSSIBLE = auto()  # this payment cannot be refunded (again)
    BUSY = auto()  # nothing was done; the same request may succeed later
    UNKNOWN = auto()  # may have taken effect, or does not fit our requests: look, then repeat
    CONFIGURATION = auto()  # our key or our account: an operator can correct it
    BUG = auto()  # a request that can never succeed
    MISSING = auto()  # Stripe does not have the object that the error's ``param`` names


_BY_MEANING: Final[Mapping[Meaning, str]] = {
    Meaning.DECLINED: """
        account_closed authentication_required bank_account_declined bank_account_restricted
        bank_account_unusable bank_account_unverified
        bank_account_verification_failed billing_invalid_mandate card_decline_rate_limit_exceeded
        card_declined charge_exceeds_source_limit charge_exceeds_transaction_limit
        debit_not_authorized expired_card expired_payment_method
        india_recurring_payment_mandate_canceled insufficient_funds no_account
        payment_intent_action_required payment_intent_authentication_failure
        payment_intent_konbini_rejected_confirmation_number payment_intent_mandate_invalid
        payment_intent_payment_attempt_expired payment_intent_payment_attempt_failed
        payment_method_bank_account_blocked payment_method_customer_decline
        payment_method_not_available payment_method_provider_decline payment_method_restricted
        processing_error refer_to_customer three_d_secure_authentication_not_supported
        """,
    Meaning.CUSTOMER_INPUT: """
        account_number_invalid bank_account_bad_routing_numbers cardholder_phone_number_required
        clearing_code_unsupported country_code_invalid email_invalid incorrect_address incorrect_cvc
        incorrect_number incorrect_postal_code incorrect_zip invalid_card_type invalid_characters
        invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number invalid_source_usage
        payment_intent_incompatible_payment_method payment_method_bank_account_already_verified
        payment_method_billing_details_address_missing payment_method_currency_mismatch
        payment_method_invalid_parameter payment_method_invalid_parameter_testmode
        payment_method_microdeposit_failed payment_method_microdeposit_processing_error
        payment_method_microdeposit_verification_amounts_invalid
        payment_method_microdeposit_verification_amounts_mismatch
        payment_method_microdeposit_verification_attempts_exceeded
        payment_method_microdeposit_verification_descriptor_code_mismatch
        payment_method_microdeposit_verification_timeout payment_method_unactivated
        payment_method_unexpected_state payment_method_unsupported_type postal_code_invalid
        routing_number_invalid sepa_unsupported_account shipping_address_invalid state_unsupported
        token_already_used token_card_network_invalid
        """,
    Meaning.WRONG_STATUS: """
        capture_charge_authorization_expired capture_unauthorized_payment charge_already_captured
        charge_expired_for_capture intent_invalid_state payment_intent_unexpected_state
        status_transition_invalid
        """,
    Meaning.REFUND_IMPOSSIBLE: """
        charge_already_refunded charge_disputed charge_not_refundable refund_disputed_payment
        """,
    Meaning.BUSY: """
        idempotency_key_in_use lock_timeout payment_intent_rate_limit_exceeded rate_limit
        token_in_use
        """,
    Meaning.CONFIGURATION: """
        account_country_invalid_address account_error_country_change_requires_additional_steps
        account_information_mismatch account_invalid action_blocked
        anomalous_money_movement_request api_key_expired approval_required balance_insufficient
        capability_not_active country_unsupported livemode_mismatch
        not_allowed_on_standard_account payment_method_configuration_failures
        platform_account_required platform_api_key_expired request_blocked secret_key_required
        testmode_charges_only tls_version_unsupported
        """,
    Meaning.BUG: """
        alipay_upgrade_required amount_too_large amount_too_small application_fees_not_allowed
        balance_invalid_parameter bitcoin_upgrade_required charge_invalid_parameter
        intent_verification_method_missing invalid_charge_amount
        invalid_mandate_reference_prefix_format parameter_invalid_empty parameter_invalid_integer
        parameter_invalid_string_blank parameter_invalid_string_empty parameter_missing
        parameter_unknown parameters_exclusive payment_intent_invalid_parameter url_invalid
        """,
    Meaning.MISSING: "missing resource_missing",
    # The last of these belong to Stripe products that we do not use: accounts of a platform, bank
    # accounts, disputes, forwarding, invoices, payouts, setup intents, subscriptions, taxes and
    # terminals. As an answer to one of our requests such a code proves nothing.
    Meaning.UNKNOWN: """
        authentication_failure payment_method_provider_timeout
        three_d_secure_authentication_upstream_error

        account_token_required_for_v2_account acss_debit_session_incomplete bank_account_exists
        coupon_expired customer_max_payment_methods customer_max_subscriptions
        customer_session_expired customer_tax_location_invalid dispute_evidence_page_limit_exceeded
        failed_tax_calculation financial_account_balance_does_not_support_currency
        financial_account_capability_not_enabled financial_account_capability_restricted
        financial_connections_account_inactive
        financial_connections_account_pending_account_numbers
        financial_connections_account_unavailable_account_numbers
        financial_connections_consent_locale_invalid
        financial_connections_consent_locale_unsupported
        financial_connections_no_successful_transaction_refresh forwarding_api_inactive
        forwarding_api_invalid_parameter forwarding_api_retryable_upstream_error
        forwarding_api_upstream_connection_error forwarding_api_upstream_connection_timeout
        forwarding_api_upstream_error instant_payouts_config_disabled
        instant_payouts_currency_disabled instant_payouts_limit_exceeded instant_payouts_unsupported
        invalid_canceled_subscription_fields invalid_tax_location invoice_no_customer_line_items
        invoice_no_payment_method_types invoice_no_subscription_line_items invoice_not_editable
        invoice_on_behalf_of_not_editable invoice_payment_intent_requires_action
        invoice_upcoming_none out_of_inventory ownership_declaration_not_allowed
        payment_evaluation_on_api_version_not_supported payout_reconciliation_not_ready
        payouts_limit_exceeded payouts_not_allowed product_inactive
        progressive_onboarding_limit_exceeded resource_already_exists return_intent_already_processed
        service_period_coupon_with_metered_tiered_item_unsupported setup_attempt_failed
        setup_intent_authentication_failure setup_intent_invalid_parameter
        setup_intent_mandate_invalid setup_intent_mobile_wallet_unsupported
        setup_intent_setup_attempt_expired setup_intent_unexpected_state shipping_calculation_failed
        siret_invalid sku_inactive smart_disputes_not_available storer_capability_missing
        storer_capability_not_active stripe_tax_inactive
        subscription_update_trial_after_billing_cycle_anchor tax_id_invalid tax_id_prohibited
        taxes_calculation_failed terminal_location_country_unsupported terminal_reader_busy
        terminal_reader_hardware_fault terminal_reader_invalid_location_for_activation
        terminal_reader_invalid_location_for_payment terminal_reader_offline terminal_reader_timeout
        transfer_source_balance_parameters_mismatch transfers_not_allowed
        """,
}

MEANINGS: Final[Mapping[str, Meaning]] = {
    code: meaning for meaning, codes in _BY_MEANING.items() for code in codes.split()
}


def meaning_of_code(code: str | None, param: str | None) -> Meaning:
    """Return what a code means. Without a code, an error that names a parameter is a bug of ours."""
    if code:
        return MEANINGS.get(code, Meaning.UNKNOWN)
    return Meaning.BUG if param else Meaning.UNKNOWN
