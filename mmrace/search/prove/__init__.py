"""Prove a failure: how sure it is after each step of its minimal schedule, and from where on it is certain."""
