"""What membership costs and how fast it is: Grapevine beside Serf and kinship, in the same run."""
