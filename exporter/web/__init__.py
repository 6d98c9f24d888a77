"""Prometheus, a kubelet and a person ask over HTTP; each is answered within a limit."""
