"""Named queries: search bodies with typed places, kept in the cluster."""
