"""The API as an OpenAPI 3.1 document, made of the views' routes, the models of their bodies, and prose."""
