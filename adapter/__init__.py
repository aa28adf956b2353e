"""Everything that talks to a cluster or to a person."""
