"""The storefront's REST API, by resource.

A resource is a package, or one module while it is small: its views, schemas and documentation.
``http`` has what the resources share. A new endpoint needs a path in ``urls.py``, a test, and a row
in ``tests/support/access_table.py``. Then run ``make openapi``. ``docs/a-new-endpoint.md`` has the steps.
"""
