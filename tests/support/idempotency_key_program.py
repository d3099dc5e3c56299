"""A program that prints how many idempotency keys two attempts at one call use, and its arguments."""

import sys

import django

if __name__ == "__main__":
    django.setup()
    from payments.models import Payment

    payment = Payment()
    keys = {payment.idempotency_key("confirm") for _ in range(2)}
    sys.stdout.write(f"{len(keys)} {' '.join(sys.argv[1:])}\n")
