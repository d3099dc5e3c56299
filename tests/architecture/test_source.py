"""Rules about the source that neither the linter nor the import contracts can see."""

import ast
from collections.abc import Iterator, Sequence

import pytest

from tests.support.source_files import APPLICATION, SourceFile, python_files

LONGEST_FUNCTION = 40
LONGEST_FILE = 420

MAKES_ROWS = {"Insert", "create", "bulk_create", "get_or_create", "update_or_create"}
CHANGES_ROWS = {"update", "bulk_update", "Update", "save", "delete", "setattr"}


def test_only_the_transition_function_writes_the_status_of_an_order() -> None:
    writers = {
        (source.name, function.name)
        for source in python_files("orders", "config")
        if source.name != "orders/api/orders/examples.py"  # there Order is a response schema
        for function in source.functions()
        if any(writes_status(node) for node in ast.walk(function))
    }

    assert writers == {("orders/models.py", "transition_locked")}


def test_no_sql_of_ours_writes_orders() -> None:
    # What the invariants ask is asked in a transaction that cannot write.
    statements = [
        (source.name, text)
        for source in python_files(*APPLICATION)
        if not source.name.startswith("invariants/")
        for text in texts(source)
        if "orders_order " in text or '"orders_order"' in text
    ]

    assert statements == []


def test_only_dispatch_puts_a_task_on_a_queue() -> None:
    # Sagas are queued by dispatch alone. What staff ask for in bulk is no saga: the desk has one
    # place of its own, whose message says no more than "look".
    assert files_that_call("apply_async", "send_task") == {
        "sagas/dispatch.py",
        "desk/bulk_queue.py",
    }
    # Not Celery's: how long a RetryPolicy waits.
    assert files_that_call("delay") == {"sagas/phase.py"}


def test_only_dispatch_waits_for_a_commit() -> None:
    # And what counts: only what is true.
    allowed = {"sagas/dispatch.py", "desk/bulk_queue.py", "orders/metrics.py"}
    assert files_that_call("on_commit") == allowed


def test_the_outside_world_is_met_where_the_proof_wraps_it() -> None:
    ways_out = (
        "urllib3",
        "urllib.request",
        "requests",
        "httpx",
        "http.client",
        "smtplib",
        "socket",
    )
    ways_to_the_broker = ("kombu", "redis", "celery.app")
    allowed = {
        ("outbound/http_transport.py", "urllib3"),
        ("access/rate_limits.py", "redis"),  # counts requests, and goes without
        ("outbound/rate_limit.py", "redis"),  # counts calls: nothing of an order hangs on it
        ("config/celery_settings.py", "kombu"),  # the names of the queues
        ("sagas/dispatch.py", "kombu.exceptions"),
        ("sagas/tasks.py", "kombu.exceptions"),  # what Celery need not report
        ("config/logging.py", "kombu.exceptions"),  # what has no traceback
        ("monitoring/readiness.py", "kombu"),  # asks whether the broker is there
        ("monitoring/readiness.py", "kombu.exceptions"),
    }

    found = {
        (source.name, module)
        for source in python_files(*APPLICATION)
        for module in source.imported_modules()
        if is_part_of(module, (*ways_out, *ways_to_the_broker))
    }

    assert found == allowed


def test_nobody_connects_to_postgresql_past_django() -> None:
    drivers = {
        (source.name, module)
        for source in python_files(*APPLICATION)
        for module in source.imported_modules()
        if is_part_of(module, ("psycopg",))
    }

    assert {module for _, module in drivers} <= {"psycopg.errors", "psycopg.pq"}


def test_only_the_engine_writes_the_journal() -> None:
    journal = {"SagaRun", "StepAttempt"}
    outside = [
        source.name
        for source in python_files(*APPLICATION)
        if not source.name.startswith("sagas/") and journal & set(names_in(source))
    ]
    inside = files_that_write_rows("sagas") - {
        "sagas/bulk_sql.py",  # the statements, for any rows
        "sagas/registry.py",  # updates dictionaries
    }

    assert outside == []
    assert inside == {"sagas/journal.py", "sagas/services.py", "sagas/sweep.py"}


def test_stock_is_written_by_its_services_and_a_new_shop_s_shelves_by_the_demo_catalogue() -> None:
    assert files_that_write_rows("inventory") == {
        "inventory/services.py",
        "inventory/management/commands/load_catalogue.py",
    }


def test_payments_are_written_by_their_services_and_by_the_calls() -> None:
    inside = files_that_write_rows("payments") - {
        "payments/providers/stripe/provider.py"
    }  # it asks Stripe

    assert inside == {"payments/services.py", "payments/payment_operations.py"}


def test_rows_are_locked_in_known_places_only() -> None:
    locking = {
        source.name
        for source in python_files(*APPLICATION)
        for name, call in source.calls()
        if name == "select_for_update" or "lock" in {each.arg for each in call.keywords}
    }

    assert locking == {
        "desk/bulk.py",
        "desk/second_factor.py",  # rows that no order knows: a code is taken once
        "inventory/services.py",
        "orders/models.py",
        "orders/services.py",
        "payments/services.py",
        "sagas/phase.py",
        "sagas/runner.py",
        "sagas/services.py",
        "sagas/sweep.py",
    }


def test_every_function_fits_on_a_screen() -> None:
    too_long = [
        f"{source.name}:{function.lineno} {function.name} has {length} lines"
        for source in python_files(*APPLICATION, "benchmarks", "sandbox")
        for function in source.functions()
        if (length := lines_of(function) - lines_of_data(function)) > LONGEST_FUNCTION
    ]

    assert too_long == []


def test_every_file_can_be_read_in_one_sitting() -> None:
    too_long = [
        f"{source.name} has {len(source.lines)} lines"
        for source in python_files(*APPLICATION, "benchmarks", "sandbox")
        if len(source.lines) > LONGEST_FILE
    ]

    assert too_long == []


@pytest.mark.parametrize(
    "statement",
    [
        "order.status = target",
        "order.status, order.version = target, 2",
        "order.status: str = target",
        "Order.objects.filter(pk=1).update(status=target)",
        "Order.objects.create(status=target)",
        "Order(status=target)",
        "Update(orders, ['status'])",
        "order.save(update_fields=['status'])",
        "setattr(order, 'status', target)",
    ],
)
def test_every_way_to_write_a_status_is_seen(statement: str) -> None:
    assert any(writes_status(node) for node in ast.walk(ast.parse(statement)))


@pytest.mark.parametrize(
    "statement",
    [
        "Order.objects.filter(status=target)",
        "Response(body, status=202)",
        "self.status = status",
        "was = order.status",
        "order.version = 2",
    ],
)
def test_reading_a_status_is_not_taken_for_writing_it(statement: str) -> None:
    assert not any(writes_status(node) for node in ast.walk(ast.parse(statement)))


def writes_status(node: ast.AST) -> bool:
    """Whether this very node gives some object but ``self`` a status."""
    match node:
        case ast.Attribute(value=owner, attr="status", ctx=ast.Store()):
            return not (isinstance(owner, ast.Name) and owner.id == "self")
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            if name not in MAKES_ROWS | CHANGES_ROWS | {"Order"}:
                return False
            is_named = any(keyword.arg == "status" for keyword in node.keywords)
            return is_named or any(
                isinstance(each, ast.Constant) and each.value == "status" for each in ast.walk(node)
            )
    return False


def lines_of(node: ast.stmt | ast.expr) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def lines_of_data(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """A table that a function ends with is read line by line, not all at once."""
    match function.body[-1]:
        case ast.Return(value=ast.Dict() | ast.List() as table):
            return lines_of(table)
    return 0


def files_that_call(*names: str) -> set[str]:
    return {
        source.name
        for source in python_files(*APPLICATION)
        for name, _ in source.calls()
        if name in names
    }


def files_that_write_rows(app: str) -> set[str]:
    return {
        source.name
        for source in python_files(app)
        for name, _ in source.calls()
        if name in MAKES_ROWS | CHANGES_ROWS
    }


def is_part_of(module: str, packages: Sequence[str]) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in packages)


def names_in(source: SourceFile) -> Iterator[str]:
    for node in ast.walk(source.tree):
        match node:
            case ast.Name(id=name) | ast.alias(name=name):
                yield name


def texts(source: SourceFile) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
