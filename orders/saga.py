"""The life of an order, from placed to confirmed or cancelled. Start reading here.

A run of CHECKOUT takes one order through these steps. Each step is a function in
``orders/steps.py``, with its compensation right below it. A *local* step changes our database and
commits together with its journal row. A *remote* step calls the payment provider: its attempt
is committed first, then the call is made without an open transaction, then the result is committed.

=====================  ======  =========================  ========================================
step                   kind    compensation               the run compensates if
=====================  ======  =========================  ========================================
``reserve_stock``      local   ``release_stock``          an item is out of stock
``authorize_payment``  remote  ``void_authorization``     the card is declined; 8 attempts, no answer
``confirm_order``      local   ``withdraw_confirmation``  its stock is no longer held in full
``capture_payment``    remote  ``refund_payment``         the authorization has expired
=====================  ======  =========================  ========================================

``confirm_order`` makes the order *confirmed*. Its money is taken right afterwards.

**Compensation.** The run compensates every step that may have had an effect, the last one first.
No compensation waits for another one: stock is released while the provider has not answered. Each is
retried until it is done. The order is *cancelling* until all are done, then *cancelled*. Voiding and
refunding are one call, ``payments.services.close``: it cancels the payment, or refunds it if the
money was taken.

**The provider times out while authorizing.** The attempt is journalled as *unknown*, and the run
waits for its back-off. The next attempt first finds out what happened:

* The provider's id of the payment is stored, as it is before any confirmation: retrieve it. If the
  provider has acted, that is the result. If not, confirm it again under the same key.
* The create call got no answer: repeat it under its key. An unconfirmed payment takes no money.

After 8 attempts the run compensates. The payment is cancelled at the provider before the order is
*cancelled*. The code is in ``payments/payment_operations.py``.

**A worker dies during a call.** Its lease runs out after ten seconds; a call itself has eight. The
sweep (``sagas/sweep.py``) queues the run. Another worker journals the attempt as *lost* and makes
the next one, which finds out what happened in the same way (``sagas/phase.py``).

**A customer cancels.** The request is written on the run, which compensates before its next step.
A call in flight is not interrupted: its result is settled first.

**An error that no step declares** (a wrong key, a bug) changes nothing. The run stays at its step,
is retried at growing intervals, and is flagged with ``needs_attention`` after some attempts. It can
still be cancelled.

**A money invariant is broken.** When the check of each minute (``invariants/``) finds it twice in a
row, it pauses the run until a person resumes it. A call in flight is settled, and the order can
still be cancelled: compensations are never paused.

CANCELLATION is for an order whose CHECKOUT run has ended. Its steps only return money and stock,
cannot be rejected, and are retried until they are done.
"""

from orders.steps import (
    authorize_payment,
    begin_cancelling,
    capture_payment,
    confirm_order,
    finish_cancelling,
    mark_cancelled,
    release_reserved_stock,
    reserve_stock,
    return_payment,
)
from sagas.definition import Saga

CHECKOUT = Saga(
    name="checkout",
    version=1,
    steps=(
        reserve_stock,
        authorize_payment,
        confirm_order,
        capture_payment,
    ),
    compensation_queue="compensation",  # so that new orders never delay it
    on_compensating=begin_cancelling,  # in the transaction that starts to compensate
    on_compensated=mark_cancelled,  # in the transaction of the last compensation
)

CANCELLATION = Saga(
    name="cancellation",
    version=1,
    steps=(
        return_payment,
        release_reserved_stock,
        finish_cancelling,
    ),
    compensation_queue="compensation",
    compensating_only=True,
)

SAGAS = (CHECKOUT, CANCELLATION)
