"""The lifecycle of an order, from placed to confirmed or cancelled. Start reading here.

A run of CHECKOUT takes one order through these steps. Each step is a function, with its compensation
right below it: see the imports. A *local* step changes our database and commits together with its journal
row. A *remote* step calls another system: its attempt is committed first, then the call is made without
an open transaction, then the result is committed.

=======================  ======  =========================  =======================================
step                     kind    compensation               the run compensates if
=======================  ======  =========================  =======================================
``reserve_stock``        local   ``release_stock``          an item is out of stock
``authorize_payment``    remote  ``void_authorization``     the payment is declined, rejected or not
                                                            made in time, or none of 8 attempts had
                                                            a result
``await_review``         wait    ``withdraw_review``        staff reject it, or do not decide in time
``confirm_order``        local   ``withdraw_confirmation``  its stock is no longer held in full
``capture_payment``      remote  ``refund_payment``         the authorization has expired
=======================  ======  =========================  =======================================

``confirm_order`` makes the order *confirmed*. Its money is taken right afterwards.

**Waiting.** An order waits in ``authorize_payment`` while its customer has to authenticate, or may pay
otherwise after a decline. It waits in ``await_review`` only if it was placed with a reason for a
review. A cancelled order waits for its refund where that takes days: in ``void_authorization`` and
``refund_payment``, or in ``return_payment`` of CANCELLATION. A run that waits holds no worker and no
message; see ``docs/waits.md``.

**Compensation.** The run compensates every step that may have had an effect. It starts with the
last step, but no compensation waits until another one succeeds: stock is released while the provider
does not answer. Each is retried until it is done. The order is *cancelling* until all are done, then
*cancelled*. Voiding and refunding are one call, ``payments.services.close``: it cancels the payment,
or refunds it if the money was taken.

**The provider times out while authorizing.** The attempt is journalled as *unknown*, and the run
waits for its back-off. The next attempt first finds out what happened:

* If we have the provider's id of the payment, retrieve it. The id is stored before any confirmation.
  If the provider has acted, that is the result. If not, confirm the payment again.
* If not, the create call got no answer: repeat it. An unconfirmed payment takes no money.

A repetition uses the same idempotency key, so that it acts once. Only when the provider has repeated
a saved error twice, the next key is used.

After 8 attempts the run compensates. Before the order is *cancelled*, the payment is cancelled at the
provider. A payment without a stored id is only marked: it was never confirmed, and never will be. The
calls are in ``payments/payment_operations.py``.

**A worker dies during a call.** Its lease ends ten seconds after the claim; a call may take eight
seconds. The sweep (``sagas/sweep.py``) queues the run. Another worker journals the attempt as *lost*
and makes the next one, which finds out what happened in the same way (``sagas/phase.py``).

**A customer cancels.** The request is written on the run, which compensates before its next step.
A call in flight is not interrupted: its result is settled first.

**An error that no step declares** (a wrong key, a bug) changes nothing. The run stays at its step,
is retried at growing intervals, and is flagged with ``needs_attention`` after some attempts. It can
still be cancelled.

**A money invariant is broken.** When the check that runs every minute (``invariants/``) finds it twice in
a row, it pauses the run until a person resumes it. A call in flight is settled, and the order can
still be cancelled: compensations are never paused.

CANCELLATION is for an order whose CHECKOUT run has ended. Its steps only return money and stock,
cannot be rejected, and are retried until they are done. The stock comes first, so that it is on sale
again while a refund is under way.
"""

from orders.review import await_review
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
        await_review,
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
        release_reserved_stock,  # first, because a refund may take days
        return_payment,
        finish_cancelling,
    ),
    compensation_queue="compensation",
    compensating_only=True,
)

SAGAS = (CHECKOUT, CANCELLATION)
