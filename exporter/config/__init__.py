"""One YAML file and the environment become settings, or a list of everything that is wrong."""
