"""The words every layer shares: targets, executions, phases, time. No I/O, no protobuf."""
