"""Logs, our own instruments and the real clock."""
