"""What was made, as a BIDS derivative data set."""
