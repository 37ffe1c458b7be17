"""Minimise a failing run: fewer and simpler turning points, a smaller program, and what must not be swapped."""
