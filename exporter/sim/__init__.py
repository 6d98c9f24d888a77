"""
A Flyte Admin without Flyte: the real rules over a seeded world, answered through real gRPC.

It is the only stand-in for Flyte that this project knows. Its measure is a recording of a real
Flyte Admin, which it must answer line for line.
"""
