"""Training for the studies of digits, and what the trained networks make of the test digits."""
