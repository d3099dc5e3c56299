"""The whole life of an order, from placed to confirmed, or back to nothing. Start reading here.

A run of CHECKOUT goes down its steps. Each step is a function in ``orders/steps.py`` with its
compensation right below it, and is either *local* (our database: its effect and its journal row
commit together) or *remote* (the bank: the attempt is committed first, then the call is made with
no transaction open, then its answer is committed).

=====================  ======  ========================  =========================================
step                   kind    undone by                 what turns the run back here
=====================  ======  ========================  =========================================
``reserve_stock``      local   ``release_stock``         a line cannot be served whole
``authorize_payment``  remote  ``void_authorization``    the card is refused; 8 tries had no answer
``confirm_order``      local   ``withdraw_confirmation`` its stock is not held whole any more
``capture_payment``    remote  ``refund_payment``        the authorization has expired at the bank
=====================  ======  ========================  =========================================

When ``confirm_order`` is done the order is *confirmed*; its money is taken right afterwards.

**On the way back** everything that may have left something behind is undone. The last step is
begun with, but none waits for another: stock is released while the bank still owes us an answer.
Each undo has retries of its own and is never given up. The order is *cancelling* until all of
them are done, and only then *cancelled*. Voiding and refunding are the same call,
``payments.services.close``: cancel the payment at the bank, and where its money has moved already,
refund it. Whichever is owed does whatever is needed; where both are, the second finds it done.

**When Stripe times out** while authorizing, the attempt is journalled as *unknown*, which is
neither yes nor no, and the run waits for its back-off. The next attempt looks first. If the
PaymentIntent's id is stored (it is, before anything is confirmed), it retrieves that intent: if
the bank has acted, its answer counts; if not, the same id is confirmed again under the same key.
If the create itself got no answer, it is repeated under its key; an unconfirmed intent charges
nobody. After 8 tries (half a minute to two minutes) the run turns back, and the intent is
cancelled at the bank before the order may be called cancelled. All this is in
``payments/payment_operations.py``.

**When our worker dies** in the call, the journal shows a started attempt whose lease runs out
after ten seconds (a call itself is given up after eight). The sweep (``sagas/sweep.py``) queues
the run, another worker notes the attempt as *lost* and makes the next one, which looks first in
the same way (``sagas/phase.py``).

**When the customer cancels** the wish is written on the run. The run turns back before its next
step, be that the capture; a call that is being made is not interrupted, but settled first.

**An error that no step declares** (a wrong key, another sum than we asked for, a bug) is no
answer: the run stays where it is, is tried again at growing intervals, and after some tries is
flagged ``needs_attention``. It can still be cancelled.

**When its money is in doubt** (the check of each minute, ``invariants/``, found an invariant about it
broken twice in a row) the run is paused: it goes no step further until a person releases it. An
answer that is on its way is still settled, and the order can still be cancelled; what gives back is
never paused, so turning back lifts it.

CANCELLATION is for an order whose CHECKOUT run has ended. Its steps only give back, and so are
repeated until they are done: there is nothing that the bank or a shelf could refuse.
"""

from orders.steps import (
    authorize_payment,
    begin_cancelling,
    capture_payment,
    confirm_order,
    finish_cancelling,
    mark_cancelled,
    reserve_stock,
    restock,
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
    compensation_queue="compensation",  # undoing never stands behind new orders
    on_compensating=begin_cancelling,  # in the transaction in which the run turns back
    on_compensated=mark_cancelled,  # in that of the last undo
)

CANCELLATION = Saga(
    name="cancellation",
    version=1,
    steps=(
        return_payment,
        restock,
        finish_cancelling,
    ),
    compensation_queue="compensation",
    compensating_only=True,
)

SAGAS = (CHECKOUT, CANCELLATION)
