"""Rules about the source that neither the linter nor the import contracts can check."""

import ast
import re
from collections.abc import Iterator, Sequence

import pytest

from tests.support.source_files import APPLICATION, ROOT, SourceFile, python_files

LONGEST_FUNCTION = 40
LONGEST_FILE = 420

MAKES_ROWS = {"Insert", "create", "bulk_create", "get_or_create", "update_or_create"}
CHANGES_ROWS = {"update", "bulk_update", "Update", "save", "delete", "setattr"}


def test_only_the_transition_function_writes_the_status_of_an_order() -> None:
    writers = {
        (source.name, function.name)
        for source in python_files("orders", "config")
        for function in source.functions()
        if any(writes_status(node) for node in ast.walk(function))
    }

    assert writers == {("orders/models.py", "transition_locked")}


def test_no_sql_text_names_the_table_of_orders() -> None:
    # The queries of the invariants run in a read-only transaction.
    statements = [
        (source.name, text)
        for source in python_files(*APPLICATION)
        if not source.name.startswith("invariants/")
        for text in texts(source)
        if "orders_order " in text or '"orders_order"' in text
    ]

    assert statements == []


def test_only_dispatch_puts_a_task_on_a_queue() -> None:
    # Only dispatch queues sagas. A bulk action of staff is no saga: the desk queues it in one place,
    # and its message carries no data.
    assert files_that_call("apply_async", "send_task") == {
        "sagas/dispatch.py",
        "desk/bulk_queue.py",
    }
    # This delay is RetryPolicy's, not Celery's.
    assert files_that_call("delay") == {"sagas/compensating.py", "sagas/forward.py"}


def test_only_dispatch_and_metrics_act_after_a_commit() -> None:
    # Metrics count committed changes only.
    allowed = {"sagas/dispatch.py", "desk/bulk_queue.py", "orders/metrics.py"}
    assert files_that_call("on_commit") == allowed


def test_network_libraries_are_imported_in_known_places_only() -> None:
    network_libraries = (
        "urllib3",
        "urllib.request",
        "requests",
        "httpx",
        "http.client",
        "smtplib",
        "socket",
    )
    broker_libraries = ("kombu", "redis", "celery.app", "confluent_kafka")
    allowed = {
        ("outbound/http_transport.py", "urllib3"),
        ("access/rate_limits.py", "redis"),  # counts requests, and works without Redis
        ("outbound/rate_limit.py", "redis"),  # counts calls: no order depends on it
        ("config/celery_settings.py", "kombu"),  # the names of the queues
        ("sagas/dispatch.py", "kombu.exceptions"),
        ("sagas/tasks.py", "kombu.exceptions"),  # errors that Celery need not report
        ("config/logging.py", "kombu.exceptions"),  # errors without a traceback
        ("events/relay/redis_stream.py", "redis"),
        ("events/relay/kafka.py", "confluent_kafka"),
        ("monitoring/readiness.py", "kombu"),  # checks the broker
        ("monitoring/readiness.py", "kombu.exceptions"),
    }

    found = {
        (source.name, module)
        for source in python_files(*APPLICATION)
        for module in source.imported_modules()
        if is_part_of(module, (*network_libraries, *broker_libraries))
    }

    assert found == allowed


def test_only_django_connects_to_postgresql() -> None:
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
    inside = files_that_write_rows("sagas")

    assert outside == []
    assert inside == {
        "sagas/journal.py",
        "sagas/moving.py",
        "sagas/new_runs.py",
        "sagas/nudges.py",
        "sagas/run_context.py",
        "sagas/services.py",
        "sagas/signals.py",
        "sagas/sweep.py",
    }


def test_only_services_and_the_demo_catalogue_write_stock() -> None:
    assert files_that_write_rows("inventory") == {
        "inventory/services.py",
        "inventory/management/commands/load_catalogue.py",
    }


def test_only_services_and_operations_write_payments() -> None:
    inside = files_that_write_rows("payments") - {
        "payments/providers/stripe/provider.py"
    }  # its "create" is a call

    assert inside == {
        "payments/payment_operations.py",
        "payments/provider_calls.py",
        "payments/recording.py",
        "payments/services.py",
    }


def test_only_services_write_approvals() -> None:
    assert files_that_write_rows("approvals") == {"approvals/services.py"}


NAMES_STRIPE = {
    "config/settings.py",  # the default of PAYMENT_PROVIDERS
    "orders/api/orders/examples.py",  # a payment method, as an example in the API's documentation
    "monitoring/redaction.py",  # the form of Stripe's secrets, also for installations without Stripe
}
"""The reviewed list, which only shrinks: code for Stripe belongs into its provider."""


def test_only_its_provider_knows_stripe() -> None:
    files = [path for package in APPLICATION for path in (ROOT / package).rglob("*.*")]
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text()
        for path in files
        if path.suffix in {".py", ".html", ".css", ".js", ".txt"}
    }
    naming = {
        name
        for name, text in texts.items()
        if re.search(r"stripe|paymentintent|pm_|\bpi_", text, re.IGNORECASE)
    }

    inside = {name for name in naming if name.startswith("payments/providers/stripe/")}
    assert "payments/providers/stripe/provider.py" in inside
    assert naming - inside == NAMES_STRIPE


def test_rows_are_locked_in_known_places_only() -> None:
    locking = {
        source.name
        for source in python_files(*APPLICATION)
        for name, call in source.calls()
        if name == "select_for_update" or "lock" in {keyword.arg for keyword in call.keywords}
    }

    assert locking == {
        "desk/bulk.py",
        "desk/second_factor.py",  # rows without a relation to orders: a code is used once
        "inventory/services.py",
        "orders/models.py",
        "orders/services.py",
        "payments/recording.py",
        "payments/services.py",
        "sagas/moving.py",
        "sagas/nudges.py",
        "sagas/phase_rows.py",
        "sagas/runner.py",
        "sagas/services.py",
        "sagas/signals.py",
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


def test_no_file_is_too_long() -> None:
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
def test_every_way_to_write_a_status_is_found(statement: str) -> None:
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
def test_reading_a_status_is_not_a_write(statement: str) -> None:
    assert not any(writes_status(node) for node in ast.walk(ast.parse(statement)))


def writes_status(node: ast.AST) -> bool:
    """Return whether this node itself sets the status of an object other than ``self``."""
    match node:
        case ast.Attribute(value=owner, attr="status", ctx=ast.Store()):
            return not (isinstance(owner, ast.Name) and owner.id == "self")
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            if name not in MAKES_ROWS | CHANGES_ROWS | {"Order"}:
                return False
            is_named = any(keyword.arg == "status" for keyword in node.keywords)
            return is_named or any(
                isinstance(part, ast.Constant) and part.value == "status" for part in ast.walk(node)
            )
    return False


def lines_of(node: ast.stmt | ast.expr) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def lines_of_data(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a table that the function returns: they do not count as code."""
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
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def names_in(source: SourceFile) -> Iterator[str]:
    for node in ast.walk(source.tree):
        match node:
            case ast.Name(id=name) | ast.alias(name=name):
                yield name


def texts(source: SourceFile) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
