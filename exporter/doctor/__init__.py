"""Is everything there that a start needs, and if not, what mends it? Looks, and changes nothing."""
