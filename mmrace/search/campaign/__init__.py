"""A campaign: many short runs of many scenarios, every canary first."""
