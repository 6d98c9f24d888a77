"""flyte-exporter: executions of Flyte become Prometheus metrics that never lie."""

__version__ = "0.1.0"
