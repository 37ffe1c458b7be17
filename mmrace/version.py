"""The version of mmrace, for whatever keeps it with what it writes."""

VERSION = "0.1.0"
