"""Products and stock: who holds how much of what, and every movement that led there."""
