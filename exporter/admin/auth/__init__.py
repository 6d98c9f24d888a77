"""How we prove to Admin, and to a proxy before it, who we are."""
