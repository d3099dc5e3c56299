"""Helpers of all tests, by need. Each module says more about itself.

Most needs are met by a fixture of ``tests/conftest.py``: ``shelf``, ``mugs_and_tees``, ``customer``,
``shop``, ``storefront``, ``stranger``, ``shop_server``, ``messages``, ``sandbox``, ``sandbox_stripe``,
``outside_service``.

Orders and their data:

- stock, an order, its deliveries: ``shop`` (``Shelf``, ``Shop``)
- an order through the API: ``storefront_client``; ``http_storefront`` to a server
- one request from fifty clients: ``repeated_requests``
- one order of every kind: ``order_history``; ``violations`` breaks their rows
- an order that waits for its customer: ``paying_customer``; for staff: ``flagged_orders``
- stock without orders: ``inventory_helpers``
- approvals, with or without orders: ``approval_helpers``
- payments without orders: ``payment_attempts``
- sagas without orders: ``fake_sagas``
- an order with other steps or signals: ``checkout_versions``, ``packing``, ``fraud_review``
- thousands of rows: ``large_tables``

Messages, workers, time:

- deliver messages one by one: ``in_memory_broker`` (fixture ``messages``)
- deliver Celery's own messages: ``drained_broker``; ``celery_queues`` only reads them
- pause or kill a worker: ``worker_threads``; ``worker_harness`` with a whole shop
- kill a worker by SIGKILL: ``worker_processes``, whose program is ``worker_process_main``
- web, worker and sweep as processes: ``production_processes``, ``application_environment``
- calls at once or in the background: ``threads``
- move the time of orders and runs: ``clock``
- wait for a condition: ``waits``
- a race that a guard prevents: ``removed_guards``
- brokers for events, whose programs may be killed: ``brokers``, with ``kafka_cluster_main``
- relays and readers that are killed: ``event_drill``

Providers and other services:

- Stripe as it behaves: the sandbox: fixture ``sandbox_stripe``
- calls of the Stripe provider: ``stripe_calls``
- the sandbox in plain HTTP: ``stripe_http``, checked by ``stripe_types``
- any payment provider: ``in_memory_provider``
- a service that is not Stripe: ``outside_services``: fixture ``outside_service``
- a response that no service gives: ``canned_http``; it also receives reports
- something between two provider calls: ``interrupted_reads``
- a Redis that hangs: ``silent_redis``

What must be true:

- of every order at every moment: ``safety_checks``
- once all orders have ended: ``ledger_checks``
- the provider's money by order: ``provider_ledger``
- models for property tests: ``order_model``, ``stock_model``, ``example_counts``
- a seeded bug is found: ``mutation_checks``, ``proof_bugs``, ``proof_command``,
  ``idempotency_key_program``
- all rows before and after: ``database``
- access of each caller: ``access_table``, ``routes``
- the API is as documented: ``schemathesis_run``, ``schemathesis_data``
- processor time: ``cpu_time``

Staff and commands:

- actions at the desk: ``desk_actions``
- login with password and code: ``staff_login``
- a browser: ``browser_session``
- commands of manage.py: ``command_runner``
- settings of another environment: ``fresh_settings``
- other processes: ``processes``
- the all-in-one run in another folder: ``project_copy``

The source and the session:

- source files and their prose: ``source_files``, ``prose``
- code in docs/: ``doc_excerpts``
- servers of the session: ``embedded_servers``, ``outside_connections``
- number of workers, order of the test files: ``scheduling``
"""
