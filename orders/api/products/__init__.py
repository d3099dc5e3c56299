"""The catalogue: products for sale."""
