"""The command line: each command says what it did, or what to do."""

import os

# Before grpc is imported. Its core writes lines of its own to standard error, in a form that no
# reader of our log expects, about what its calls report as well.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
