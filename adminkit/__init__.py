"""Parts of admin pages: lists that stay fast on large tables, their cells, filters and searches."""
