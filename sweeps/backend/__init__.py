"""Ray: the session, the cluster, the trainable, and the adapters of search, scheduler and callback."""
