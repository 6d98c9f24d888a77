"""How fast, how small, how soon: measured against the bars that the project holds itself to."""
