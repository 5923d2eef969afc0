"""The method, in pure torch: no sockets, no protocol, no client paths."""
