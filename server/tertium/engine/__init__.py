"""The fusion method in pure torch: no sockets, no protocol, no paths from clients."""
