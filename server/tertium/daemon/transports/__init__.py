"""The transports: they move bytes to and from peers and do not interpret them."""
