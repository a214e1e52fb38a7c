"""Solvers, element by element; touched-row updates of tables; charges of the penalty."""
