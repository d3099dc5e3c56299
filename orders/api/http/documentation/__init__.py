"""The OpenAPI document, generated from the views and served with Swagger UI."""
