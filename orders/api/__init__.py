"""The storefront's REST API, by resource.

To add an endpoint: write a package (or, while it is small, one module) with its view, schemas and
documentation; add its path to ``urls.py``, a test, and a row to ``tests/support/route_table.py``;
then regenerate ``docs/openapi.yaml``. What endpoints share is in ``http``.
"""
