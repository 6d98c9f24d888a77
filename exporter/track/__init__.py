"""What happened, worked out from what was known and what is seen. Pure."""
