"""What is built from the settings anew, while what is counted and shown lives on."""
