"""The command line: each command says what it did, or what to do."""
