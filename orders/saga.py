"""The whole life of an order, from placed to confirmed, or back to nothing. Start reading here.

A run of CHECKOUT goes down its steps. Each step is a function in ``orders/steps.py`` with its
compensation right below it, and is either *local* (our database: its effect and its journal row
commit together) or *remote* (the bank: claim, call, settle, in two transactions with no
transaction open during the call).

====================  ======  ==========  =====================================================
step                  kind    undone by   what turns the run back
====================  ======  ==========  =====================================================
``reserve_stock``     local   release     a line cannot be served whole
``authorize_payment`` remote  void        the card is refused; or about a minute of no answer
``confirm_order``     local   withdraw    nothing: from here the order is *confirmed*
``capture_payment``   remote  refund      the authorization is gone; no answer is waited out
====================  ======  ==========  =====================================================

A customer's cancel turns the run back too, before its next step and whatever it is doing now.
On the way back every step that may have left something behind is undone, last one first, each
with retries of its own and never given up. The order is *cancelling* until the last undo is
done, and only then *cancelled*.

**When Stripe times out** the call's outcome is *unknown*, which is neither yes nor no. The attempt
is journalled as such and the run sleeps for its back-off. The next attempt does not ask for the
money again: it retrieves the PaymentIntent by the id that was stored before it was confirmed, and
goes on from what the bank says happened (``payments/bank_calls.py``). If that fails for a minute
the run turns back, and ``void_authorization`` cancels the intent at the bank before the order may
be called cancelled; had the money moved after all, it is refunded. If our worker dies instead,
the journal shows a started attempt whose lease runs out, and the sweep has another worker do the
same (``sagas/sweep.py``, ``sagas/runner.py``).

CANCELLATION is for an order whose CHECKOUT run has ended: nothing in it can be refused, and every
step is repeated until it is done.
"""

from orders.steps import (
    authorize_payment,
    begin_cancelling,
    capture_payment,
    close_order,
    confirm_order,
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
    compensation_queue="compensation",
    turning_back=begin_cancelling,
    compensated=mark_cancelled,
)

CANCELLATION = Saga(
    name="cancellation",
    version=1,
    steps=(
        return_payment,
        restock,
        close_order,
    ),
    compensation_queue="compensation",
)

SAGAS = (CHECKOUT, CANCELLATION)
